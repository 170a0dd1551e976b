"""A holder and a reader over one of the planes, for the contract's tests. The reader may be another process."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from bagel.kv_layout import PageRun, page_runs, pages_of
from tests.transport.kinds import ACROSS_PROCESSES, WITHIN_ONE_PROCESS, open_reader, open_server
from transport.base import DataPlane, FetchReport, FetchRequest, Region, in_order
from transport.holder import Holder
from transport.pool import Pool

PAGES, PAGE_BYTES, EPOCH = 40, 200_000, 99  # four pages a frame over ZeroMQ, so long runs take several
CPU = torch.device("cpu")
PATIENCE_S = 20.0


@dataclass
class Pair:
    """A holder that serves a pool of random pages, and a reader apart from it."""

    holder: Holder
    server: DataPlane
    reader: DataPlane

    @property
    def pool(self) -> Pool:
        return self.holder.pool

    def page(self, number: int) -> torch.Tensor:
        return self.pool.host[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]

    def published(self, pages: Sequence[int], handle_id: str = "h") -> FetchRequest:
        """Publish pages and open a grant; the request that fetches them all in this order."""
        pages = list(pages)
        generations = self.holder.publish(handle_id, pages)
        return self.request(page_runs(pages), generations, self.holder.open_grant(handle_id))

    def request(self, runs: Sequence[PageRun], generations: Sequence[int], token: bytes) -> FetchRequest:
        pages = pages_of(list(runs))
        digests = self.holder.digests(pages, generations)
        into = Region(torch.zeros(max(1, len(pages)) * PAGE_BYTES, dtype=torch.uint8))
        self.reader.prepare(into)
        return FetchRequest(
            address=self.holder.endpoints[0].address,
            epoch=EPOCH,
            token=token,
            copies=in_order(runs),
            digests=digests,
            generations=generations,
            page_bytes=PAGE_BYTES,
            into=into,
            deadline_s=time.monotonic() + PATIENCE_S,
        )

    def fetch(self, request: FetchRequest) -> FetchReport:
        return self.reader.fetch(request, threading.Event())

    def landed(self, request: FetchRequest) -> bool:
        """Whether every page asked for lies in its place."""
        places = request.into.tensor.view(-1, PAGE_BYTES)
        return all(
            torch.equal(places[copy.place + offset], self.page(copy.page + offset))
            for copy in request.copies
            for offset in range(copy.count)
        )


def new_pool() -> Pool:
    """A pool of random pages."""
    pool = Pool(num_pages=PAGES, page_bytes=PAGE_BYTES, epoch=EPOCH, device=CPU)
    pool.host.random_(0, 256, generator=torch.Generator().manual_seed(5))
    return pool


KINDS = (*WITHIN_ONE_PROCESS, *ACROSS_PROCESSES, "shm-unnamed")


@contextmanager
def open_pair(kind: str, folder: Path) -> Iterator[Pair]:
    """Both sides in this process; ended with the block."""
    server, reader = open_server(kind, folder), open_reader(kind, folder)
    holder = Holder(new_pool(), [server])
    try:
        yield Pair(holder, server, reader)
    finally:
        reader.close()
        holder.close()
