"""Getting a context here: opens the read grant at its holder, and follows its announcements while prefill goes on.

Pages are pulled group by group as they become final, each once, or looked at where they lie. Knows the KvSource
contract and the transport; nothing of denoising.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from torch import Tensor

from bagel import wire
from bagel.contexts import Role
from bagel.errors import DeadlineError, IncompleteContextError
from bagel.kv_layout import KvLayout, KvMemory, pages_of
from bagel.rpc import metadata, open_channel
from bagel.v1 import kv_pb2, kv_pb2_grpc
from bagel.waiting import settle
from services.dit.denoiser import Context
from services.dit.pulling import LandingMemory, Pull, PullReport
from transport.base import Endpoint
from transport.errors import PeerLostError, TransferCorruptError, TransferRefusedError
from transport.planes import Planes

PATIENCE_S = 30.0  # between two announcements


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedContext:
    """A context whose pages can be read; `contexts` name them by their place in `memory`, where they lie as `kv`."""

    contexts: tuple[Context, ...]
    size: tuple[int, int]  # height, width
    memory: Tensor
    kv: KvMemory
    report: PullReport
    pull: Pull

    def check(self) -> None:
        """Call once the pages were read. Raises LeaseEndedError when the holder gave one back meanwhile."""
        self.pull.check()


class Fetcher:
    """Fetches any number of contexts at once, as far as its landing memory goes."""

    def __init__(
        self,
        planes: Planes,
        layout: KvLayout,
        landing: LandingMemory,
        *,
        inline_bytes: int,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._planes, self._layout, self.landing = planes, layout, landing
        self._inline_bytes, self._patience_s = inline_bytes, patience_s

    @asynccontextmanager
    async def fetched(self, handle: kv_pb2.KvHandle, *, deadline_s: float) -> AsyncIterator[FetchedContext]:
        """The context, readable for the time of the block.

        Raises IncompleteContextError, OverloadedError, TransportError, DeadlineError.
        """
        kv = wire.memory_from_proto(handle.layout)
        if kv.layout != self._layout:
            raise IncompleteContextError(
                f"the context's layout ({kv.layout}) is not that of this DiT ({self._layout}):"
                " start Thinker and DiT with the same model, --dtype and --kv-page-tokens"
            )
        # Looking whether an address can be reached may touch the file system.
        offered = [Endpoint(e.transport, e.address, e.secure) for e in handle.data_endpoints]
        plane, endpoint = await asyncio.to_thread(self._planes.choose, offered)
        if not (kv.has_whole_pages or plane.capabilities.zero_copy):
            raise IncompleteContextError(
                f"the holder's pages do not lie in one piece each, so {endpoint.transport} cannot carry them: take shm"
            )
        pull = Pull(plane, endpoint, handle.epoch, self._layout.page_bytes, self.landing, deadline_s)
        async with open_channel(handle.control_address) as channel:
            call = kv_pb2_grpc.KvSourceStub(channel).Read(
                self._read_request(handle, pull),
                timeout=max(0.0, deadline_s - time.monotonic()),
                metadata=metadata(handle.request.id),
            )
            try:
                await pull.reserve(handle.max_pages)
                sealed = await _while_granted(call, pull, self._patience_s)
                if not pull.attached:
                    call.cancel()  # everything is here; the holder may have its pages back
                yield self._context(sealed, kv, pull)
            except grpc.aio.AioRpcError as error:
                raise _translated(error, handle.control_address) from error
            finally:
                call.cancel()
                pull.release()

    def _read_request(self, handle: kv_pb2.KvHandle, pull: Pull) -> kv_pb2.ReadRequest:
        capabilities = pull.plane.capabilities
        return kv_pb2.ReadRequest(
            handle_id=handle.handle_id,
            epoch=handle.epoch,
            request=handle.request,
            read_token=handle.read_token,
            digests=capabilities.digests,
            inline_below=0 if capabilities.zero_copy else self._inline_bytes,
        )

    def _context(self, sealed: kv_pb2.Sealed, kv: KvMemory, pull: Pull) -> FetchedContext:
        count = sum(run.count for message in sealed.contexts for run in message.runs)
        if count > len(pull.places) * len(Role):
            raise IncompleteContextError(f"the contexts list {count} pages, {len(pull.places)} were announced")
        return FetchedContext(
            contexts=tuple(_context(message, pull.places) for message in sealed.contexts),
            size=(sealed.output_height, sealed.output_width),
            memory=pull.memory,
            kv=kv,
            report=pull.report(),
            pull=pull,
        )


def _context(message: kv_pb2.SealedContext, places: dict[int, int]) -> Context:
    pages = pages_of(wire.runs_from_proto(message.runs))
    missing = [page for page in pages if page not in places]
    if missing:
        raise IncompleteContextError(f"pages {missing[:8]} of a context were never announced")
    roles = wire.roles_from_proto(message.roles, "sealed.contexts.roles")
    return Context(roles, tuple(places[page] for page in pages), message.tokens, message.rope)


async def _while_granted(call: AsyncIterator[kv_pb2.ReadEvent], pull: Pull, patience_s: float) -> kv_pb2.Sealed:
    """Pull what is announced until the context is sealed. Gives up as soon as the holder ends the grant."""
    events: asyncio.Queue[kv_pb2.ReadEvent] = asyncio.Queue()
    listening = asyncio.create_task(_listen(call, events, pull))
    pulling = asyncio.create_task(_pull_announced(events, pull, patience_s))
    try:
        await asyncio.wait({listening, pulling}, return_when=asyncio.FIRST_COMPLETED)
        if not pulling.done():
            listening.result()
            raise IncompleteContextError("the holder ended the read before the pages had arrived")
        return pulling.result()
    finally:
        for task in (listening, pulling):
            task.cancel()
            await settle(task)


async def _listen(call: AsyncIterator[kv_pb2.ReadEvent], events: "asyncio.Queue[kv_pb2.ReadEvent]", pull: Pull) -> None:
    """Pass events on until the stream ends; raises its status."""
    async for event in call:
        if event.HasField("sealed"):
            pull.note_sealed()
        events.put_nowait(event)


async def _pull_announced(events: "asyncio.Queue[kv_pb2.ReadEvent]", pull: Pull, patience_s: float) -> kv_pb2.Sealed:
    while True:
        try:
            async with asyncio.timeout(patience_s):
                event = await events.get()
        except TimeoutError:
            raise IncompleteContextError(
                f"the context was not sealed, and nothing was announced for {patience_s:.0f} s"
            ) from None
        match event.WhichOneof("event"):
            case "granted":
                pull.token = event.granted.data_token
            case "pages_ready":
                await pull.group(event.pages_ready)
            case "sealed":
                pull.note_complete()
                return event.sealed


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
