"""Following a context while it grows: a real KvSource, leases, holder and planes, with pages published by the test."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import torch

from bagel import wire
from bagel.contexts import Role
from bagel.errors import IncompleteContextError
from bagel.kv_layout import KvLayout, page_runs
from bagel.rpc import ErrorInterceptor
from bagel.v1 import kv_pb2, kv_pb2_grpc
from services.dit.fetcher import FetchedContext, Fetcher
from services.dit.pulling import LandingMemory
from services.thinker.__main__ import STATUSES
from services.thinker.execution import SealedContext
from services.thinker.kv_servicer import KvSourceServicer
from services.thinker.leases import Announcement, Lease, LeaseBook, Seal
from tests.chaos.tcp_proxy import TcpProxy
from tests.polling import until
from tests.transport.kinds import open_reader, open_server
from transport.base import Region
from transport.errors import LeaseEndedError, PeerLostError, TransportError
from transport.holder import Holder
from transport.planes import Planes
from transport.pool import Pool

LAYOUT = KvLayout(num_layers=4, num_kv_heads=2, head_dim=64, page_tokens=16, dtype="float32")
PAGE_BYTES = LAYOUT.page_bytes
EPOCH, PAGES = 77, 12
CPU = torch.device("cpu")


@dataclass
class Thinker:
    """The holding side, and a fetcher that reads from it."""

    holder: Holder
    leases: LeaseBook
    lease: Lease
    fetcher: Fetcher
    address: str

    def handle(self, **changed: Any) -> kv_pb2.KvHandle:
        endpoints = [
            kv_pb2.DataEndpoint(transport=e.transport, address=e.address, secure=e.secure)
            for e in self.holder.endpoints
        ]
        fields: dict[str, Any] = {
            "handle_id": self.lease.handle_id, "request": kv_pb2.RequestId(id="r", attempt=1), "epoch": EPOCH,
            "control_address": self.address, "data_endpoints": endpoints, "layout": wire.layout_to_proto(LAYOUT),
            "read_token": self.lease.read_token, "max_pages": PAGES,
        }  # fmt: skip
        return kv_pb2.KvHandle(**(fields | changed))

    async def announce(self, pages: list[int]) -> None:
        generations = self.holder.publish(self.lease.handle_id, pages)
        await self.lease.announce(Announcement(tuple(page_runs(pages)), tuple(generations)))

    async def seal(self, pages: list[int]) -> None:
        contexts = (SealedContext((Role.GEN,), tuple(pages), 16 * len(pages), 5),)
        await self.lease.announce(Seal(contexts=contexts, size=(32, 48), unique_pages=len(pages)))

    def arrived(self, fetched: FetchedContext) -> bool:
        size = LAYOUT.page_bytes
        here, there = fetched.memory.view(-1, size), self.holder.pool.host.view(-1, size)
        (context,) = fetched.contexts
        return all(torch.equal(here[place], there[page]) for place, page in zip(context.pages, (3, 4, 9), strict=True))


@pytest.fixture(params=["shm-unnamed", "zeromq-tcp"])
async def thinker(request: pytest.FixtureRequest) -> AsyncIterator[Thinker]:
    async with _thinker(request.param, inline_bytes=0) as opened:
        yield opened


@asynccontextmanager
async def _thinker(kind: str, *, inline_bytes: int) -> AsyncIterator[Thinker]:
    pool = Pool(num_pages=PAGES, page_bytes=LAYOUT.page_bytes, epoch=EPOCH, device=CPU)
    pool.host.random_(0, 256)
    holder, leases = Holder(pool, [open_server(kind, "")]), LeaseBook(EPOCH)
    loaded: Any = SimpleNamespace(require_loaded=lambda: SimpleNamespace(holder=holder))
    server = grpc.aio.server(interceptors=[ErrorInterceptor(STATUSES)])
    kv_pb2_grpc.add_KvSourceServicer_to_server(KvSourceServicer(loaded, leases), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    planes = Planes([open_reader(kind, "")])
    landing = LandingMemory(Region(torch.zeros(PAGES * LAYOUT.page_bytes, dtype=torch.uint8)), LAYOUT.page_bytes)
    fetcher = Fetcher(planes, LAYOUT, landing, inline_bytes=inline_bytes)
    try:
        yield Thinker(holder, leases, leases.open("r", 1), fetcher, f"127.0.0.1:{port}")
    finally:
        await server.stop(None)
        planes.close()
        holder.close()


async def fetch(thinker: Thinker, handle: kv_pb2.KvHandle | None = None) -> FetchedContext:
    """What arrives, as long as the holder's pages stay."""
    async with thinker.fetcher.fetched(handle or thinker.handle(), deadline_s=time.monotonic() + 20) as fetched:
        fetched.check()
        return fetched


async def test_a_finished_group_is_here_before_the_context_is_sealed(thinker: Thinker) -> None:
    zero_copy = thinker.holder.endpoints[0].transport == "shm"
    fetching = asyncio.create_task(fetch(thinker))
    await thinker.announce([3, 4])
    # The first group lies in its places while nothing else is known.
    await until(lambda: zero_copy or thinker.fetcher.landing.moved_bytes == 2 * LAYOUT.page_bytes)
    await thinker.announce([9])
    await thinker.seal([3, 4, 9])

    fetched = await fetching
    assert thinker.arrived(fetched)
    assert fetched.size == (32, 48)
    assert fetched.report.unique_bytes == 3 * LAYOUT.page_bytes
    assert fetched.report.moved_bytes == (0 if zero_copy else 3 * LAYOUT.page_bytes)
    assert fetched.report.overlap >= (0 if zero_copy else 2 / 3)
    await until(lambda: thinker.leases.grants == 0)
    assert thinker.fetcher.landing.places.free_places == PAGES


async def test_three_branches_move_each_page_once_counted_on_the_wire() -> None:
    async with _thinker("zeromq-tcp", inline_bytes=0) as thinker:
        proxy = TcpProxy("127.0.0.1", int(thinker.holder.endpoints[0].address.rsplit(":", 1)[1]))
        handle = thinker.handle()
        handle.data_endpoints[0].address = f"tcp://127.0.0.1:{proxy.port}"
        # As of an edit: cfg_text is a prefix of gen, cfg_img a chain of its own with a text.
        branches = {Role.GEN: (0, 1, 2, 3, 4, 5, 6, 7), Role.CFG_TEXT: (0, 1, 2, 3, 4, 5), Role.CFG_IMG: (9,)}
        await thinker.announce([0, 1, 2, 3])
        await thinker.announce([4, 5, 6, 7, 9])
        contexts = tuple(SealedContext((role,), pages, 16 * len(pages), 5) for role, pages in branches.items())
        await thinker.lease.announce(Seal(contexts=contexts, size=(32, 48), unique_pages=9))
        fetched = await fetch(thinker, handle)
        proxy.close()
    unique = 9 * PAGE_BYTES
    assert fetched.report.unique_bytes == fetched.report.moved_bytes == unique
    assert unique <= proxy.passed_bytes <= 1.01 * unique


async def test_two_readers_of_one_handle_get_it_each(thinker: Thinker) -> None:
    await thinker.announce([3, 4, 9])
    await thinker.seal([3, 4, 9])
    for fetched in await asyncio.gather(fetch(thinker), fetch(thinker, thinker.handle(max_pages=4))):
        assert fetched.report.pages == 3


async def test_pages_given_back_before_they_were_read_are_noticed() -> None:
    async with _thinker("shm-unnamed", inline_bytes=0) as thinker:
        await thinker.announce([3, 4, 9])
        await thinker.seal([3, 4, 9])
        async with thinker.fetcher.fetched(thinker.handle(), deadline_s=time.monotonic() + 20) as fetched:
            fetched.check()
            thinker.holder.release(thinker.lease.handle_id)
            thinker.holder.publish("another", [4])
            with pytest.raises(LeaseEndedError):
                fetched.check()


async def test_a_lease_that_ends_ends_the_fetch(thinker: Thinker) -> None:
    fetching = asyncio.create_task(fetch(thinker))
    await thinker.announce([3])
    await until(lambda: thinker.leases.grants == 1)
    await thinker.leases.end(thinker.lease)
    with pytest.raises(PeerLostError, match="is over"):
        await fetching


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"epoch": EPOCH - 1}, "epoch 76"),
        ({"read_token": b"0" * 16}, "does not open"),
        ({"request": kv_pb2.RequestId(id="r", attempt=2)}, "attempt"),
        ({"handle_id": "kv-of-another"}, "no context"),
    ],
)
async def test_a_stale_or_foreign_handle_is_refused(thinker: Thinker, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(TransportError, match=reason):
        await fetch(thinker, thinker.handle(**changed))


async def test_few_pages_travel_with_their_announcement() -> None:
    async with _thinker("zeromq-tcp", inline_bytes=2 * LAYOUT.page_bytes) as thinker:
        # The data plane is not there at all: what arrives came over the control stream.
        thinker.holder.close()
        await thinker.announce([3, 4])
        await thinker.announce([9])
        await thinker.seal([3, 4, 9])
        assert thinker.arrived(await fetch(thinker))


async def test_pages_that_are_not_in_one_piece_cannot_travel() -> None:
    async with _thinker("zeromq-tcp", inline_bytes=0) as thinker:
        handle = thinker.handle()
        handle.layout.page_stride_bytes += 64
        with pytest.raises(IncompleteContextError, match="take shm"):
            await fetch(thinker, handle)
