"""A process that holds pages for Mooncake's tests: a command a line on stdin, an answer in JSON a line on stdout.

python -m tests.transport.mooncake_holder HOST PAGES PAGE_BYTES EPOCH [MASTER METADATA_SERVER]
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from tests.processes import ROOT
from transport.base import DataPlane
from transport.holder import Holder
from transport.mooncake import MooncakePlane
from transport.mooncake_store import MooncakeStorePlane
from transport.pool import Pool


@dataclass
class Published:
    """What a reader knows of pages."""

    pages: list[int]
    generations: list[int]
    digests: list[int]


class HolderProcess:
    """A child process that serves a pool, every 8 bytes of which are their own number."""

    def __init__(self, pages: int, page_bytes: int, epoch: int, host: str, store: Sequence[str]) -> None:
        self.pages, self.page_bytes, self.epoch = pages, page_bytes, epoch
        module = "tests.transport.mooncake_holder"
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, host, str(pages), str(page_bytes), str(epoch), *store],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self.address: str = self._hear()[0]

    def publish(self, pages: Sequence[int], handle: str = "h") -> Published:
        generations, digests = self._do("publish", handle, *map(str, pages))
        return Published(list(pages), generations, digests)

    def release(self, handle: str = "h") -> None:
        self._do("release", handle)

    def send(self, signum: signal.Signals) -> None:
        self._child.send_signal(signum)

    def pause(self) -> None:
        """Stop it, and wait until it stands still."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self._child.pid, os.WSTOPPED)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    def _do(self, *words: str) -> list[list[int]]:
        assert self._child.stdin is not None
        self._child.stdin.write(" ".join(words) + "\n")
        return self._hear()

    def _hear(self) -> list:
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())


@contextmanager
def holder_process(
    *, pages: int = 64, page_bytes: int = 65_536, epoch: int = 7, host: str = "127.0.0.1", store: Sequence[str] = ()
) -> Iterator[HolderProcess]:
    """A holder for the time of a block; over the store whose master and metadata server are given, if they are."""
    holder = HolderProcess(pages, page_bytes, epoch, host, store)
    try:
        yield holder
    finally:
        holder.kill()
        for stream in (holder._child.stdin, holder._child.stdout):
            assert stream is not None
            stream.close()


def main() -> None:
    """Serve until stdin ends."""
    host, (pages, page_bytes, epoch), store = sys.argv[1], map(int, sys.argv[2:5]), sys.argv[5:]
    pool = Pool(num_pages=pages, page_bytes=page_bytes, epoch=epoch, device=torch.device("cpu"))
    pool.host.view(torch.int64).copy_(torch.arange(pages * page_bytes // 8))
    plane: DataPlane = MooncakePlane(host)
    if store:
        plane = MooncakeStorePlane(host, master=store[0], metadata_server=store[1])
    holder = Holder(pool, [plane])
    print(json.dumps([holder.endpoints[0].address]), flush=True)
    for line in sys.stdin:
        command, handle, *rest = line.split()
        numbers = [int(word) for word in rest]
        if command == "publish":
            generations = holder.publish(handle, numbers)
            print(json.dumps([generations, holder.digests(numbers, generations)]), flush=True)
        else:
            holder.release(handle)
            print(json.dumps([]), flush=True)
    holder.close()


if __name__ == "__main__":
    main()
