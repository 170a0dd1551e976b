"""`bagel.v1.KvSource`: read grants on leased contexts. Moves few bytes itself; tokens for what moves the many."""

import asyncio
import time
from collections.abc import AsyncIterator

from bagel import wire
from bagel.errors import DeadlineError
from bagel.kv_layout import page_runs, pages_of
from bagel.limits import INLINE_BYTES
from bagel.rpc import ServicerContext, remaining_s
from bagel.v1 import kv_pb2, kv_pb2_grpc
from services.thinker.leases import Announcement, LeaseBook, Seal
from services.thinker.servicer import ThinkerServicer
from transport.holder import Holder

GRANT_S = 15.0  # without a renewal


class KvSourceServicer(kv_pb2_grpc.KvSourceServicer):
    """Serves grants from the Thinker's lease book."""

    def __init__(self, thinker: ThinkerServicer, leases: LeaseBook) -> None:
        self._thinker, self._leases = thinker, leases

    async def Read(self, request: kv_pb2.ReadRequest, context: ServicerContext) -> AsyncIterator[kv_pb2.ReadEvent]:
        loaded = self._thinker.require_loaded()
        lease = self._leases.find(
            request.handle_id, epoch=request.epoch, attempt=request.request.attempt, token=request.read_token
        )
        holder = loaded.holder
        token = holder.open_grant(lease.handle_id, until_s=time.monotonic() + GRANT_S)
        renewing = asyncio.create_task(_renew(holder, token))
        self._leases.grants += 1
        try:
            yield kv_pb2.ReadEvent(granted=kv_pb2.Granted(data_token=token))
            async with asyncio.timeout(remaining_s(context)):
                async for event in lease.follow():
                    if isinstance(event, Announcement):
                        # Hashing and copying would hold up the event loop.
                        yield await asyncio.to_thread(_announced, event, request, holder)
                    else:
                        yield _sealed(event)
        except TimeoutError:
            raise DeadlineError(f"the read of {lease.handle_id} reached its deadline") from None
        finally:
            self._leases.grants -= 1
            renewing.cancel()
            holder.close_grant(token)


async def _renew(holder: Holder, token: bytes) -> None:
    """Keep a grant open as long as this process's event loop lives."""
    while True:
        await asyncio.sleep(GRANT_S / 3)
        holder.renew(token, until_s=time.monotonic() + GRANT_S)


def _announced(event: Announcement, request: kv_pb2.ReadRequest, holder: Holder) -> kv_pb2.ReadEvent:
    """What this reader wants to know of pages, or the pages themselves. Raises LeaseEndedError."""
    pages, generations = pages_of(list(event.runs)), event.generations
    ready = kv_pb2.PagesReady(runs=wire.runs_to_proto(event.runs), generations=generations)
    if len(pages) * holder.page_bytes <= min(request.inline_below, INLINE_BYTES.most):
        ready.inline = holder.read_inline(pages, generations)
    elif request.digests:
        ready.digests.extend(holder.digests(pages, generations))
    return kv_pb2.ReadEvent(pages_ready=ready)


def _sealed(event: Seal) -> kv_pb2.ReadEvent:
    contexts = [
        kv_pb2.SealedContext(
            roles=wire.roles_to_proto(context.roles),
            runs=wire.runs_to_proto(page_runs(list(context.pages))),
            tokens=context.tokens,
            rope=context.rope,
        )
        for context in event.contexts
    ]
    sealed = kv_pb2.Sealed(
        contexts=contexts, output_height=event.size[0], output_width=event.size[1], unique_pages=event.unique_pages
    )
    return kv_pb2.ReadEvent(sealed=sealed)
