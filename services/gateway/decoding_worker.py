"""`python -m services.gateway.decoding_worker`: decodes pictures of strangers in a process that may die of them.

Reads frames from stdin (two lengths, the field's name, the picture), answers each on stdout (a length, JSON), until
stdin ends. Its memory is bounded; its time is bounded by the gateway, which ends it.
"""

import json
import resource
import struct
import sys
from typing import BinaryIO

from PIL import Image

from bagel.errors import RequestError
from bagel.images import open_checked
from bagel.limits import DECODE_BYTES

HEAD = struct.Struct(">II")
LENGTH = struct.Struct(">I")
_STATUS_KB = "VmSize:"


def main() -> int:
    """Serve until stdin ends."""
    Image.init()
    _bound_memory()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := requests.read(HEAD.size):
        name_bytes, data_bytes = HEAD.unpack(head)
        param = requests.read(name_bytes).decode()
        answer = json.dumps(_look(requests, data_bytes, param)).encode()
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()
    return 0


def _look(requests: BinaryIO, data_bytes: int, param: str) -> dict[str, object]:
    """Width, height and bands of a picture that decodes, or what is wrong with it."""
    try:
        image = open_checked(requests.read(data_bytes), param=param)
    except RequestError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"{param}: the picture needs over {DECODE_BYTES.most >> 20} MiB to decode; send a plainer one"}
    return {"width": image.width, "height": image.height, "bands": image.getbands()}


def _bound_memory() -> None:
    """Room for one picture beyond what the process has by now."""
    with open("/proc/self/status") as status:
        used_kb = next(int(line.split()[1]) for line in status if line.startswith(_STATUS_KB))
    most = used_kb * 1024 + DECODE_BYTES.most
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
