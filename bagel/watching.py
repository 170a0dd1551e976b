"""Following a registry's membership, as gateways do: a snapshot, then changes, over every outage of the registry."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import grpc

from bagel.errors import ConfigError
from bagel.master import ANSWER_S, REFUSALS, Contact, explain, open_master
from bagel.member_wire import member_from_proto
from bagel.members import Member
from bagel.v1 import registry_pb2, registry_pb2_grpc


@dataclass(frozen=True, slots=True)
class Watched:
    """A change: a snapshot takes the place of everything known; else some joined or changed, and some are gone.

    After an outage the first snapshot of a registry that has restarted is small: its workers join again one by one,
    within 3 s. Whoever serves on from the last snapshot keeps members for a while that are missing in a new one.
    """

    snapshot: bool
    changed: tuple[Member, ...]
    left: tuple[str, ...] = ()


async def watch_members(master: str, *, token: str | None) -> AsyncGenerator[Watched, None]:
    """Every change of membership at the registry `master`, without end; connects again by itself.

    Every connection begins with a snapshot. Logs `master_unreachable`, `master_lost` and `master_found`. Raises
    ConfigError for a wrong token, or where something answers that is no registry, unless it was connected before: what
    works goes on. Close it, or cancel its task.
    """
    contact = Contact(master)
    async with open_master(master) as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        while True:
            call = stub.Watch(registry_pb2.WatchRequest(join_token=token or ""))
            try:
                async with asyncio.timeout(ANSWER_S):
                    event = await call.read()
                while isinstance(event, registry_pb2.WatchEvent):
                    contact.found()
                    yield _watched(event)
                    event = await call.read()
                contact.lost("it ended the watch")
            except TimeoutError:
                contact.lost(f"no answer within {ANSWER_S} s")
            except grpc.aio.AioRpcError as error:
                if error.code() in REFUSALS and not contact.known:
                    raise ConfigError(f"--master {master}: {explain(error)}") from error
                contact.lost(explain(error))
            finally:
                call.cancel()
            await contact.pause()


def _watched(event: registry_pb2.WatchEvent) -> Watched:
    return Watched(event.snapshot, tuple(member_from_proto(worker) for worker in event.changed), tuple(event.left))
