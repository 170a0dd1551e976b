"""Getting a context here: opens the read grant at its holder, pulls every unique page once, closes the grant.

Knows the KvSource contract and the transport; nothing of denoising.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass

import grpc

from bagel import wire
from bagel.contexts import Role
from bagel.errors import DeadlineError, IncompleteContextError, OverloadedError
from bagel.kv_layout import KvLayout, PageRun, pages_of
from bagel.rpc import metadata, open_channel
from bagel.v1 import kv_pb2, kv_pb2_grpc
from bagel.waiting import finish, settle
from services.dit.denoiser import Context
from transport.base import FetchReport, FetchRequest, Region, Transport
from transport.errors import PeerLostError, TransferCorruptError, TransferRefusedError

SEAL_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedContext:
    """A context whose pages lie in the landing memory; `contexts` name them by their place there."""

    contexts: tuple[Context, ...]
    size: tuple[int, int]  # height, width
    report: FetchReport


class Fetcher:
    """One landing memory, one fetch at a time."""

    def __init__(self, transport: Transport, layout: KvLayout, landing: Region) -> None:
        self._transport, self._layout, self.landing = transport, layout, landing
        self.capacity_pages = landing.num_bytes // layout.page_bytes
        self.used_pages = 0

    async def fetch(self, handle: kv_pb2.KvHandle, *, deadline_s: float) -> FetchedContext:
        """Bring a context here. Raises IncompleteContextError, TransportError, DeadlineError."""
        if wire.layout_from_proto(handle.layout) != self._layout:
            raise IncompleteContextError(
                f"the context's layout ({wire.layout_from_proto(handle.layout)}) is not that of this DiT"
                f" ({self._layout}): start Thinker and DiT with the same model, --dtype and --kv-page-tokens"
            )
        endpoint = wire.require_handle(handle, (self._transport.capabilities.name,))
        async with open_channel(handle.control_address) as channel:
            call = kv_pb2_grpc.KvSourceStub(channel).Read(
                kv_pb2.ReadRequest(
                    handle_id=handle.handle_id,
                    epoch=handle.epoch,
                    request=handle.request,
                    read_token=handle.read_token,
                ),
                timeout=max(0.0, deadline_s - time.monotonic()),
                metadata=metadata(handle.request.id),
            )
            try:
                async with asyncio.timeout(SEAL_PATIENCE_S):
                    grant = await _read_until_sealed(call)
                return await _while_granted(call, self._pull(handle, endpoint.address, grant, deadline_s))
            except TimeoutError:
                raise IncompleteContextError(
                    f"the context was not sealed within {SEAL_PATIENCE_S:.0f} s: send a handle once it is prepared"
                ) from None
            except grpc.aio.AioRpcError as error:
                raise _translated(error, handle.control_address) from error
            finally:
                call.cancel()

    def done(self) -> None:
        """The landing pages have been copied; they may be overwritten."""
        self.used_pages = 0

    async def _pull(self, handle: kv_pb2.KvHandle, address: str, grant: "_Grant", deadline_s: float) -> FetchedContext:
        count = sum(run.count for run in (*grant.runs, *_sealed_runs(grant.sealed)))
        if count > self.capacity_pages * (1 + len(Role)):
            raise IncompleteContextError(f"the context lists {count} pages: more than contexts of this DiT can have")
        pages = pages_of(grant.runs)
        if len(pages) > self.capacity_pages:
            raise OverloadedError(
                f"the context has {len(pages)} pages, this DiT has room for {self.capacity_pages}:"
                " raise its --kv-pool-tokens"
            )
        place = {page: index for index, page in enumerate(pages)}
        contexts = tuple(_context(message, place) for message in grant.sealed.contexts)
        self.used_pages = len(pages)
        request = FetchRequest(
            address=address,
            epoch=handle.epoch,
            token=grant.token,
            runs=grant.runs,
            digests=grant.digests,
            page_bytes=self._layout.page_bytes,
            into=self.landing,
            deadline_s=deadline_s,
        )
        report = await _in_thread(self._transport, request)
        size = grant.sealed.output_height, grant.sealed.output_width
        return FetchedContext(contexts=contexts, size=size, report=report)


@dataclass(frozen=True, slots=True)
class _Grant:
    token: bytes
    runs: list[PageRun]
    digests: list[int]
    sealed: kv_pb2.Sealed


async def _read_until_sealed(call: AsyncIterator[kv_pb2.ReadEvent]) -> _Grant:
    token = b""
    runs: list[PageRun] = []
    digests: list[int] = []
    async for event in call:
        match event.WhichOneof("event"):
            case "granted":
                token = event.granted.data_token
            case "pages_ready":
                runs += wire.runs_from_proto(event.pages_ready.runs)
                digests += event.pages_ready.digests
            case "sealed":
                return _Grant(token, runs, digests, event.sealed)
    raise IncompleteContextError("the holder ended the read before the context was sealed")


def _sealed_runs(sealed: kv_pb2.Sealed) -> list[PageRun]:
    return [run for message in sealed.contexts for run in wire.runs_from_proto(message.runs)]


def _context(message: kv_pb2.SealedContext, place: dict[int, int]) -> Context:
    pages = pages_of(wire.runs_from_proto(message.runs))
    missing = [page for page in pages if page not in place]
    if missing:
        raise IncompleteContextError(f"pages {missing[:8]} of a context were never announced")
    roles = wire.roles_from_proto(message.roles, "sealed.contexts.roles")
    return Context(roles, tuple(place[page] for page in pages), message.tokens, message.rope)


async def _while_granted(
    call: AsyncIterator[kv_pb2.ReadEvent], pull: Coroutine[None, None, FetchedContext]
) -> FetchedContext:
    """The result of `pull`, which is given up as soon as the holder ends the grant."""
    pulling, ending = asyncio.create_task(pull), asyncio.create_task(_end_of(call))
    try:
        await asyncio.wait({pulling, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not pulling.done():
            ending.result()
            raise IncompleteContextError("the holder ended the read before the pages had arrived")
        return pulling.result()
    finally:
        for task in (pulling, ending):
            task.cancel()
            await settle(task)


async def _end_of(call: AsyncIterator[kv_pb2.ReadEvent]) -> None:
    """Wait until a stream ends; raises its status."""
    async for _ in call:
        pass


async def _in_thread(transport: Transport, request: FetchRequest) -> FetchReport:
    """Run the blocking fetch; when this task is cancelled, stop it and wait until nothing is written any more."""
    cancelled = threading.Event()
    fetching = asyncio.ensure_future(asyncio.to_thread(transport.fetch, request, cancelled))
    waiting = asyncio.create_task(finish(fetching))
    try:
        return await asyncio.shield(waiting)
    finally:
        cancelled.set()
        await settle(waiting)


def _translated(error: grpc.aio.AioRpcError, address: str) -> Exception:
    text = f"{address}: {error.details()}"
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineError("the deadline passed before the context had arrived")
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.ABORTED | grpc.StatusCode.NOT_FOUND:
            return PeerLostError(text)
        case grpc.StatusCode.DATA_LOSS:
            return TransferCorruptError(text)
        case _:
            return TransferRefusedError(text)
