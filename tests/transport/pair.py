"""A holder and a reader over one of the transports, for the contract's tests."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bagel.kv_layout import PageRun, page_runs, pages_of
from transport.base import FetchReport, FetchRequest, Region, Transport
from transport.holder import Holder
from transport.memory import MemoryHub, MemoryTransport
from transport.zeromq import ZeroMqTransport

PAGES, PAGE_BYTES, EPOCH = 40, 200_000, 99  # five pages an ask over ZeroMQ, so long runs take several
CPU = torch.device("cpu")
PATIENCE_S = 20.0


@dataclass
class Pair:
    """A holder that serves a pool of random pages, and a reader apart from it."""

    server: Transport
    holder: Holder
    reader: Transport
    pool: Region

    def page(self, number: int) -> torch.Tensor:
        return self.pool.tensor[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]

    def published(self, pages: Sequence[int], handle_id: str = "h") -> FetchRequest:
        """Publish pages and open a grant; the request that fetches them all in this order."""
        digests = self.holder.publish(handle_id, pages)
        return self.request(page_runs(list(pages)), digests, self.holder.open_grant(handle_id))

    def request(self, runs: Sequence[PageRun], digests: Sequence[int], token: bytes) -> FetchRequest:
        return FetchRequest(
            address=self.holder.endpoint.address,
            epoch=EPOCH,
            token=token,
            runs=runs,
            digests=digests,
            page_bytes=PAGE_BYTES,
            into=self.reader.allocate(max(1, len(digests)) * PAGE_BYTES, CPU),
            deadline_s=time.monotonic() + PATIENCE_S,
        )

    def fetch(self, request: FetchRequest) -> FetchReport:
        return self.reader.fetch(request, threading.Event())

    def landed(self, request: FetchRequest) -> bool:
        """Whether every page asked for lies in its place."""
        expected = torch.cat([self.page(page) for page in pages_of(list(request.runs))])
        return torch.equal(request.into.tensor[: len(expected)], expected)


def open_transports(kind: str, folder: Path) -> tuple[Transport, Transport]:
    hub = MemoryHub()
    match kind:
        case "memory":
            return MemoryTransport(hub), MemoryTransport(hub)
        case "zeromq-tcp":
            return ZeroMqTransport("tcp://127.0.0.1:0"), ZeroMqTransport("tcp://127.0.0.1:0")
        case _:
            return ZeroMqTransport(f"ipc://{folder}/kv"), ZeroMqTransport(f"ipc://{folder}/unused")
