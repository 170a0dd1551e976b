"""Fetching from holders that fall silent: a real KvSource over gRPC, real sockets, and nothing that hangs."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
import pytest
import torch

from bagel import wire
from bagel.errors import IncompleteContextError, OverloadedError
from bagel.kv_layout import KvLayout, PageRun
from bagel.rpc import ServicerContext
from bagel.v1 import kv_pb2, kv_pb2_grpc
from services.dit.fetcher import Fetcher
from services.dit.pulling import LandingMemory
from transport.base import Region
from transport.errors import PeerLostError
from transport.planes import Planes
from transport.zeromq import ZeroMqPlane

LAYOUT = KvLayout(num_layers=1, num_kv_heads=1, head_dim=2, page_tokens=2, dtype="float32")
SOON_S = 12.0
LATER_S = 60.0
PATIENCE_S = 1.0


class Holder(kv_pb2_grpc.KvSourceServicer):
    """Grants, announces a page, seals if told to, and aborts after a while if told to."""

    def __init__(self, *, seals: bool, aborts_after_s: float | None = None, runs: list[PageRun] | None = None) -> None:
        self._seals, self._aborts_after_s = seals, aborts_after_s
        self._runs = [PageRun(0, 1)] if runs is None else runs

    async def Read(self, request: kv_pb2.ReadRequest, context: ServicerContext) -> AsyncIterator[kv_pb2.ReadEvent]:
        yield kv_pb2.ReadEvent(granted=kv_pb2.Granted(data_token=b"t" * 16))
        runs = wire.runs_to_proto(self._runs)
        numbers = [1] * len(runs)
        yield kv_pb2.ReadEvent(pages_ready=kv_pb2.PagesReady(runs=runs, digests=numbers, generations=numbers))
        if self._seals:
            gen = kv_pb2.SealedContext(roles=[kv_pb2.ROLE_GEN], runs=runs, tokens=2, rope=2)
            yield kv_pb2.ReadEvent(sealed=kv_pb2.Sealed(contexts=[gen], output_height=16, output_width=16))
        await asyncio.sleep(LATER_S if self._aborts_after_s is None else self._aborts_after_s)
        await context.abort(grpc.StatusCode.ABORTED, "the lease is over")


@asynccontextmanager
async def serving(holder: Holder, data: str) -> AsyncIterator[kv_pb2.KvHandle]:
    """A handle of a holder that serves until the end of the block."""
    server = grpc.aio.server()
    kv_pb2_grpc.add_KvSourceServicer_to_server(holder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    endpoint = kv_pb2.DataEndpoint(transport="zeromq", address=data)
    try:
        yield kv_pb2.KvHandle(
            handle_id="h", control_address=f"127.0.0.1:{port}", data_endpoints=[endpoint],
            layout=wire.layout_to_proto(LAYOUT), request=kv_pb2.RequestId(id="r", attempt=1), max_pages=2,
        )  # fmt: skip
    finally:
        await server.stop(None)


@contextmanager
def silent_port() -> Iterator[str]:
    """A TCP port that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    planes = Planes([ZeroMqPlane()])
    memory = Region(torch.zeros(8 * LAYOUT.page_bytes, dtype=torch.uint8))
    yield Fetcher(planes, LAYOUT, LandingMemory(memory, LAYOUT.page_bytes), inline_bytes=0, patience_s=PATIENCE_S)
    planes.close()


async def fetch(fetcher: Fetcher, handle: kv_pb2.KvHandle) -> None:
    """Fetch a context that cannot come; every place is free again afterwards."""
    try:
        async with fetcher.fetched(handle, deadline_s=time.monotonic() + LATER_S):
            raise AssertionError("a context came")
    finally:
        assert fetcher.landing.places.free_places == 8


async def test_a_data_port_that_stays_silent_is_a_lost_peer_long_before_the_deadline(fetcher: Fetcher) -> None:
    started = time.monotonic()
    with silent_port() as data:
        async with serving(Holder(seals=True), data) as handle:
            with pytest.raises(PeerLostError):
                await fetch(fetcher, handle)
    assert time.monotonic() - started < SOON_S


async def test_a_grant_that_ends_ends_the_transfer_at_once(fetcher: Fetcher) -> None:
    started = time.monotonic()
    with silent_port() as data:
        async with serving(Holder(seals=True, aborts_after_s=0.3), data) as handle:
            with pytest.raises(PeerLostError, match="the lease is over"):
                await fetch(fetcher, handle)
    assert time.monotonic() - started < 3


async def test_a_context_that_is_never_sealed_is_given_up(fetcher: Fetcher) -> None:
    async with serving(Holder(seals=False, runs=[]), "tcp://127.0.0.1:9") as handle:
        with pytest.raises(IncompleteContextError, match="not sealed"):
            await fetch(fetcher, handle)


@pytest.mark.parametrize(
    ("runs", "most", "reason"),
    [
        ([PageRun(0, 1), PageRun(0, 1)], 4, "twice"),
        ([PageRun(0, 1)], 0, "more than 0 pages"),
    ],
)
async def test_pages_that_the_handle_does_not_allow_are_refused(
    fetcher: Fetcher, runs: list[PageRun], most: int, reason: str
) -> None:
    async with serving(Holder(seals=True, runs=runs), "tcp://127.0.0.1:9") as handle:
        handle.max_pages = most
        with pytest.raises(IncompleteContextError, match=reason):
            await fetch(fetcher, handle)


async def test_a_context_larger_than_the_memory_is_refused_before_anything_moves(fetcher: Fetcher) -> None:
    async with serving(Holder(seals=True), "tcp://127.0.0.1:9") as handle:
        handle.max_pages = 9
        with pytest.raises(OverloadedError, match="room for 8"):
            await fetch(fetcher, handle)


async def test_a_handle_that_names_no_known_transport_says_what_was_offered(fetcher: Fetcher) -> None:
    async with serving(Holder(seals=True), "tcp://127.0.0.1:9") as handle:
        handle.data_endpoints[0].transport = "warp"
        with pytest.raises(IncompleteContextError, match="warp: not enabled here"):
            await fetch(fetcher, handle)
