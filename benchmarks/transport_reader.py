"""The reading side of `benchmarks.transport`: every way to get pages from the holder's process into this one."""

import ctypes
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory
from typing import Any

import torch
import xxhash
import zmq
from torch import Tensor

from bagel.kv_layout import page_runs
from benchmarks.transport_plan import HEADER_BYTES, PAGE_BYTES, POOL_PAGES, SIZES_MIB, pages_for, plane_of, scattered
from transport.base import DataPlane, FetchRequest, Region, in_order
from transport.reading import host_view

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Turn:
    """What one turn moves."""

    pages: list[int]
    published: dict[str, Any]
    runs: list[list[int]]

    @property
    def num_bytes(self) -> int:
        """Bytes to move."""
        return len(self.pages) * PAGE_BYTES


class ReadingSide:
    """The reader: every way to get a turn's pages into `landing`. Each method returns seconds.

    `hashed` are planes that also come with digests. On a GPU only `fetch` and `attached` land or show pages.
    """

    def __init__(self, planes: list[str], *, device: torch.device = CPU, hashed: Sequence[str] = ("zeromq",)) -> None:
        command = [sys.executable, "-m", "benchmarks.transport_holder", str(POOL_PAGES), ",".join(planes)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.landing = Region(torch.zeros(pages_for(max(SIZES_MIB)) * PAGE_BYTES, dtype=torch.uint8, device=device))
        self._source = torch.ones(self.landing.num_bytes, dtype=torch.uint8)
        self._view = host_view(self.landing if device == CPU else Region(self._source))
        self._where = self.ask("hello")
        self._planes: dict[str, DataPlane] = {name: plane_of(name) for name in planes}
        self._planes |= {f"{name} with digests": plane_of(name, digests=True) for name in hashed}
        for plane in self._planes.values():
            plane.prepare(self.landing)
        self._raw = socket.create_connection(("127.0.0.1", self._where["raw"]))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._pull = self._context.socket(zmq.PULL)
        self._pull.setsockopt(zmq.RCVHWM, 16)
        self._pull.connect(f"tcp://127.0.0.1:{self._where['push']}")

    def tell(self, command: str, **arguments: Any) -> None:
        """Start a command of the holder."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"do": command, **arguments}) + "\n")

    def hear(self) -> Any:
        """Its answer."""
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())

    def ask(self, command: str, **arguments: Any) -> Any:
        """Both."""
        self.tell(command, **arguments)
        return self.hear()

    def turn(self, mib: int, seed: int, *, neighbours: bool = False) -> Turn:
        """Publish pages of about a size."""
        count = pages_for(mib)
        pages = list(range(count)) if neighbours else scattered(count, seed)
        return Turn(pages, self.ask("publish", pages=pages), [[r.start, r.count] for r in page_runs(pages)])

    def memcpy(self, turn: Turn) -> float:
        """A copy within this process, page run by page run: the ceiling."""
        started, place = time.perf_counter(), 0
        for start, count in turn.runs:
            size = count * PAGE_BYTES
            # The source has no more than the largest size; where a run starts makes no difference.
            offset = start * PAGE_BYTES % (self._source.numel() - size + 1)
            ctypes.memmove(self.landing.address + place, self._source.data_ptr() + offset, size)
            place += size
        return time.perf_counter() - started

    def fetch(self, name: str, turn: Turn) -> float:
        """Through a plane, into the landing memory."""
        return self._planes[name].fetch(self._request(name, turn), threading.Event()).seconds

    def look(self, turn: Turn) -> float:
        """Shared memory until the first and the last page can be read where they lie."""
        started = time.perf_counter()
        pages = self.attached(turn)
        for page in (turn.pages[0], turn.pages[-1]):
            int(pages[page, 0])
        return time.perf_counter() - started

    def attached(self, turn: Turn) -> Tensor:
        """The holder's pages [P, page bytes] in shared memory, where they lie."""
        request = self._request("shm", turn)
        attached = self._planes["shm"].attach(request)
        assert attached is not None
        attached.check(turn.pages, request.generations)
        return attached.pages.view(-1, PAGE_BYTES)

    def raw_socket(self, turn: Turn) -> float:
        """A plain TCP connection."""
        started = time.perf_counter()
        self.tell("raw", runs=turn.runs)
        rest = self._view[: turn.num_bytes]
        while len(rest):
            rest = rest[self._raw.recv_into(rest) :]
        spent = time.perf_counter() - started
        self.hear()
        return spent

    def zeromq_alone(self, turn: Turn) -> float:
        """ZeroMQ's best: frames of 896 KiB, sent and received without a copy of our own."""
        started, place = time.perf_counter(), 0
        self.tell("zeromq_alone", num_bytes=turn.num_bytes)
        while place < turn.num_bytes:
            place += self._pull.recv_into(self._view[place : place + PAGE_BYTES])
        spent = time.perf_counter() - started
        self.hear()
        return spent

    def gathered(self, turn: Turn) -> float:
        """Gather, serialise, a new segment, copy out: what serving systems commonly do."""
        started = time.perf_counter()
        name = self.ask("gathered", pages=turn.pages)
        segment = shared_memory.SharedMemory(name=name)
        resource_tracker.unregister(f"/{name}", "shared_memory")  # the holder's, not ours
        message = bytearray(segment.buf[: turn.num_bytes + HEADER_BYTES])
        received = torch.frombuffer(message, dtype=torch.uint8, offset=HEADER_BYTES)
        self.landing.tensor[: turn.num_bytes].copy_(received)
        spent = time.perf_counter() - started
        segment.close()
        self.ask("forget")
        return spent

    def hashing(self, turn: Turn) -> float:
        """xxh3 of every page, on one side."""
        started = time.perf_counter()
        for place in range(len(turn.pages)):
            xxhash.xxh3_64_intdigest(self._view[place * PAGE_BYTES : (place + 1) * PAGE_BYTES])
        return time.perf_counter() - started

    def landed(self, turn: Turn) -> bool:
        """Whether the landing memory holds the turn's pages."""
        view = host_view(Region(self.landing.tensor.cpu()))
        pages = (view[p * PAGE_BYTES : (p + 1) * PAGE_BYTES] for p in range(len(turn.pages)))
        return [xxhash.xxh3_64_intdigest(page) for page in pages] == turn.published["digests"]

    def close(self) -> None:
        """End both sides."""
        for plane in self._planes.values():
            plane.close()
        self._context.destroy(linger=0)
        self._raw.close()
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(30)

    def _request(self, name: str, turn: Turn) -> FetchRequest:
        return FetchRequest(
            address=self._where["endpoints"][name.split()[0]], epoch=1, token=bytes.fromhex(turn.published["token"]),
            copies=in_order(page_runs(turn.pages)), digests=turn.published["digests"],
            generations=turn.published["generations"], page_bytes=PAGE_BYTES, into=self.landing,
            deadline_s=time.monotonic() + 60,
        )  # fmt: skip
