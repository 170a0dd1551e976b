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
from bagel.errors import IncompleteContextError
from bagel.kv_layout import KvLayout, PageRun
from bagel.rpc import ServicerContext
from bagel.v1 import kv_pb2, kv_pb2_grpc
from services.dit.fetcher import Fetcher
from transport.errors import PeerLostError
from transport.zeromq import ZeroMqTransport

LAYOUT = KvLayout(num_layers=1, num_kv_heads=1, head_dim=2, page_tokens=2, dtype="float32")
SOON_S = 12.0
LATER_S = 60.0


class Holder(kv_pb2_grpc.KvSourceServicer):
    """Grants, announces a page, seals if told to, and aborts after a while if told to."""

    def __init__(self, *, seals: bool, aborts_after_s: float | None = None) -> None:
        self._seals, self._aborts_after_s = seals, aborts_after_s

    async def Read(self, request: kv_pb2.ReadRequest, context: ServicerContext) -> AsyncIterator[kv_pb2.ReadEvent]:
        yield kv_pb2.ReadEvent(granted=kv_pb2.Granted(data_token=b"t" * 16))
        runs = wire.runs_to_proto([PageRun(0, 1)])
        yield kv_pb2.ReadEvent(pages_ready=kv_pb2.PagesReady(runs=runs, digests=[1]))
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
            layout=wire.layout_to_proto(LAYOUT), request=kv_pb2.RequestId(id="r", attempt=1),
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
    transport = ZeroMqTransport("tcp://127.0.0.1:0")
    yield Fetcher(transport, LAYOUT, transport.allocate(8 * LAYOUT.page_bytes, torch.device("cpu")))
    transport.close()


async def test_a_data_port_that_stays_silent_is_a_lost_peer_long_before_the_deadline(fetcher: Fetcher) -> None:
    started = time.monotonic()
    with silent_port() as data:
        async with serving(Holder(seals=True), data) as handle:
            with pytest.raises(PeerLostError):
                await fetcher.fetch(handle, deadline_s=started + LATER_S)
    assert time.monotonic() - started < SOON_S


async def test_a_grant_that_ends_ends_the_transfer_at_once(fetcher: Fetcher) -> None:
    started = time.monotonic()
    with silent_port() as data:
        async with serving(Holder(seals=True, aborts_after_s=0.3), data) as handle:
            with pytest.raises(PeerLostError, match="the lease is over"):
                await fetcher.fetch(handle, deadline_s=started + LATER_S)
    assert time.monotonic() - started < 3


async def test_a_context_that_is_never_sealed_does_not_hold_the_dit(fetcher: Fetcher) -> None:
    started = time.monotonic()
    with silent_port() as data:
        async with serving(Holder(seals=False), data) as handle:
            with pytest.raises(IncompleteContextError, match="not sealed"):
                await fetcher.fetch(handle, deadline_s=started + LATER_S)
    assert time.monotonic() - started < SOON_S
