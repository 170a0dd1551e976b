"""`bagel.v1.KvSource`: read grants on leased contexts. Moves no bytes itself; tokens for those who do."""

import asyncio
from collections.abc import AsyncIterator

from bagel import wire
from bagel.errors import DeadlineError
from bagel.kv_layout import page_runs
from bagel.rpc import ServicerContext, remaining_s
from bagel.v1 import kv_pb2, kv_pb2_grpc
from services.thinker.leases import Announcement, LeaseBook, Seal
from services.thinker.servicer import ThinkerServicer


class KvSourceServicer(kv_pb2_grpc.KvSourceServicer):
    """Serves grants from the Thinker's lease book."""

    def __init__(self, thinker: ThinkerServicer, leases: LeaseBook) -> None:
        self._thinker, self._leases = thinker, leases

    async def Read(self, request: kv_pb2.ReadRequest, context: ServicerContext) -> AsyncIterator[kv_pb2.ReadEvent]:
        loaded = self._thinker.require_loaded()
        lease = self._leases.find(
            request.handle_id, epoch=request.epoch, attempt=request.request.attempt, token=request.read_token
        )
        token = loaded.holder.open_grant(lease.handle_id)
        self._leases.grants += 1
        try:
            yield kv_pb2.ReadEvent(granted=kv_pb2.Granted(data_token=token))
            async with asyncio.timeout(remaining_s(context)):
                async for event in lease.follow():
                    yield _message(event)
        except TimeoutError:
            raise DeadlineError(f"the read of {lease.handle_id} reached its deadline") from None
        finally:
            self._leases.grants -= 1
            loaded.holder.close_grant(token)


def _message(event: Announcement | Seal) -> kv_pb2.ReadEvent:
    if isinstance(event, Announcement):
        ready = kv_pb2.PagesReady(runs=wire.runs_to_proto(event.runs), digests=event.digests)
        return kv_pb2.ReadEvent(pages_ready=ready)
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
