"""The holding side of `benchmarks.transport`: a process with a pool, driven by JSON lines.

Besides the planes it serves what they are compared with: a raw socket, ZeroMQ alone, and the way of serving systems
that gather, serialise and copy through a new segment for every transfer.
"""

import json
import socket
import sys
from multiprocessing import resource_tracker, shared_memory
from typing import Any

import torch
import zmq

from benchmarks.transport_plan import HEADER_BYTES, PAGE_BYTES, plane_of
from transport.holder import Holder
from transport.pool import Pool

CPU = torch.device("cpu")
SEND_BYTES = 896 << 10


class HoldingSide:
    """Commands of the benchmark."""

    def __init__(self, pages: int, planes: list[str]) -> None:
        pool = Pool(num_pages=pages, page_bytes=PAGE_BYTES, epoch=1, device=CPU)
        pool.host.view(torch.int64).copy_(torch.arange(pool.host.numel() // 8))
        self.holder = Holder(pool, [plane_of(name) for name in planes])
        self.view = pool.view
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.push = self.context.socket(zmq.PUSH)
        self.push.setsockopt(zmq.SNDHWM, 16)
        self.port = self.push.bind_to_random_port("tcp://127.0.0.1")
        self.connection: socket.socket | None = None
        self.segments: list[shared_memory.SharedMemory] = []

    def hello(self) -> dict[str, Any]:
        """Where everything is served."""
        endpoints = {e.transport: e.address for e in self.holder.endpoints}
        return {"endpoints": endpoints, "raw": self.listener.getsockname()[1], "push": self.port}

    def publish(self, pages: list[int]) -> dict[str, Any]:
        """A grant for pages, their generations and digests."""
        self.holder.release("h")
        generations = self.holder.publish("h", pages)
        digests = self.holder.digests(pages, generations)
        return {"token": self.holder.open_grant("h").hex(), "generations": generations, "digests": digests}

    def raw(self, runs: list[list[int]]) -> None:
        """Send pages over a plain TCP connection."""
        if self.connection is None:
            self.connection, _ = self.listener.accept()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, count in runs:
            piece = self.view[start * PAGE_BYTES : (start + count) * PAGE_BYTES]
            for offset in range(0, len(piece), SEND_BYTES):
                self.connection.sendall(piece[offset : offset + SEND_BYTES])

    def zeromq_alone(self, num_bytes: int) -> None:
        """Send neighbouring pages as frames of 896 KiB, without copying them."""
        for offset in range(0, num_bytes, SEND_BYTES):
            self.push.send(self.view[offset : min(num_bytes, offset + SEND_BYTES)], copy=False)

    def gathered(self, pages: list[int]) -> str:
        """Gather, serialise, and put into a new segment; its name."""
        whole = torch.frombuffer(self.view, dtype=torch.bfloat16).view(-1, PAGE_BYTES // 2)
        gathered = whole[torch.tensor(pages)].contiguous().view(torch.uint8).numpy().tobytes()
        packed = b"".join((bytes(HEADER_BYTES), gathered))  # as a serialiser does, once
        segment = shared_memory.SharedMemory(create=True, size=len(packed))
        segment.buf[: len(packed)] = packed
        self.segments.append(segment)
        return segment.name

    def forget(self) -> None:
        """Remove the segments."""
        for segment in self.segments:
            segment.close()
            segment.unlink()
        self.segments.clear()


def main() -> None:
    """Answer commands until stdin ends."""
    side = HoldingSide(int(sys.argv[1]), sys.argv[2].split(","))
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(side, command.pop("do"))(**command)), flush=True)
    side.holder.close()


if __name__ == "__main__":
    resource_tracker.ensure_running()
    main()
