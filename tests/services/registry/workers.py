"""Small real stages for tests of the registry: servers that answer GetStatus with a boot epoch of their own."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import grpc

from bagel.addresses import join_address
from bagel.members import Kind, Member, MemberState
from bagel.membership import Membership
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc
from bagel.watching import Watched

SOON_S = 5.0
_boots = itertools.count(1000)


class _Answering:
    def __init__(self, boot_epoch: int, hangs: bool) -> None:
        self._boot_epoch, self._hangs = boot_epoch, hangs

    async def GetStatus(self, request: settings_pb2.GetStatusRequest, context: object) -> settings_pb2.StageStatus:
        if self._hangs:
            await asyncio.get_running_loop().create_future()
        return settings_pb2.StageStatus(epoch=self._boot_epoch)


class _Thinker(_Answering, thinker_pb2_grpc.ThinkerServicer):
    pass


class _Dit(_Answering, dit_pb2_grpc.DitServicer):
    pass


@dataclass(slots=True)
class Worker:
    """What stands behind `member`, and how it is now."""

    member: Member

    def describe(self) -> Member:
        return self.member

    def enter(self, state: MemberState, membership: Membership) -> None:
        self.member = replace(self.member, state=state)
        membership.tell()


@asynccontextmanager
async def stage(
    worker_id: str, *, kind: Kind = Kind.DIT, model: str = "aaaa", host: str = "127.0.0.1", hangs: bool = False
) -> AsyncIterator[Worker]:
    """A stage that listens, not joined yet."""
    boot_epoch = next(_boots)
    server = grpc.aio.server()
    if kind is Kind.THINKER:
        thinker_pb2_grpc.add_ThinkerServicer_to_server(_Thinker(boot_epoch, hangs), server)
    else:
        dit_pb2_grpc.add_DitServicer_to_server(_Dit(boot_epoch, hangs), server)
    address = join_address(host, server.add_insecure_port(join_address(host, 0)))
    await server.start()
    try:
        yield Worker(
            Member(
                worker_id=worker_id, kind=kind, address=address, model_name=f"model-{model}", model_hash=model,
                boot_epoch=boot_epoch,
            )
        )  # fmt: skip
    finally:
        await server.stop(0)


async def hear(watch: AsyncGenerator[Watched, None], within_s: float = SOON_S) -> Watched:
    """The next change, soon."""
    return await asyncio.wait_for(anext(watch), within_s)


async def hear_of(
    watch: AsyncGenerator[Watched, None], worker_id: str, state: MemberState, within_s: float = SOON_S
) -> Member:
    """Read changes until a worker is in that state."""
    while True:
        for member in (await hear(watch, within_s)).changed:
            if member.worker_id == worker_id and member.state is state:
                return member
