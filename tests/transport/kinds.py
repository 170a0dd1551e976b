"""Every plane that tests run over, by name: how its holder and its reader are opened."""

from pathlib import Path
from secrets import token_hex

from transport.base import DataPlane
from transport.memory import MemoryHub, MemoryPlane
from transport.shm import ShmPlane
from transport.zeromq import ZeroMqPlane

WITHIN_ONE_PROCESS = ("memory",)
ACROSS_PROCESSES = ("shm", "zeromq-tcp", "zeromq-ipc")
HUB = MemoryHub()


def open_server(kind: str, folder: str | Path) -> DataPlane:
    """The holder's side."""
    match kind:
        case "memory":
            return MemoryPlane(HUB, verify_always=True)
        case "shm":
            return ShmPlane(f"{folder}/{token_hex(4)}.sock", verify_always=True)
        case "shm-unnamed":
            return ShmPlane(f"@bagel-{token_hex(8)}", verify_always=True)
        case "zeromq-tcp":
            return ZeroMqPlane("tcp://127.0.0.1:0")
        case "zeromq-ipc":
            return ZeroMqPlane(f"ipc://{folder}/{token_hex(4)}.zmq")
        case _:
            raise ValueError(kind)


def open_reader(kind: str, folder: str | Path) -> DataPlane:
    """The reader's side."""
    match kind:
        case "memory":
            return MemoryPlane(HUB, verify_always=True)
        case "shm" | "shm-unnamed":
            return ShmPlane(verify_always=True)
        case "zeromq-tcp":
            return ZeroMqPlane()
        case "zeromq-ipc":
            return ZeroMqPlane(connections=1)
        case _:
            raise ValueError(kind)
