"""Dialling a worker back: does the address that it advertises lead to it, as seen from here?"""

import asyncio

import grpc
from grpc import StatusCode

from bagel.addresses import is_loopback
from bagel.master import last_cause
from bagel.members import Kind, Member
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc
from services.registry.errors import SlowWorkerError, UnreachableWorkerError

DIAL_S = 3.5
AT_ONCE = 64


class Dialer:
    """Dials workers back, a bounded number at once."""

    def __init__(self, *, dial_s: float = DIAL_S) -> None:
        self._dial_s = dial_s
        # One attempt to connect, which outlasts the check: gRPC gives up at once where nobody listens, and a host that
        # is merely slow is told from that by the check's own time.
        connect_ms = int(2_000 * dial_s)
        names = ("grpc.initial_reconnect_backoff_ms", "grpc.min_reconnect_backoff_ms")
        self._options = tuple((name, connect_ms) for name in names)
        self._free = asyncio.Semaphore(AT_ONCE)

    async def check(self, member: Member) -> None:
        """Raise UnreachableWorkerError, or SlowWorkerError when time is over, unless the worker itself answers."""
        try:
            async with self._free, asyncio.timeout(self._dial_s):
                status = await self._status(member)
        except TimeoutError:
            raise self._slow(member) from None
        except grpc.aio.AioRpcError as error:
            match error.code():
                case StatusCode.UNAVAILABLE:
                    raise UnreachableWorkerError(
                        _advice(member, f"nobody answers the registry there ({last_cause(error)})")
                    ) from None
                case StatusCode.UNIMPLEMENTED:
                    raise UnreachableWorkerError(_advice(member, f"no {member.kind} is there")) from None
                case _:
                    raise self._slow(member) from None
        if status.epoch != member.boot_epoch:
            found = f"another process is there, with boot epoch {status.epoch} and not {member.boot_epoch}"
            raise UnreachableWorkerError(_advice(member, found))

    async def _status(self, member: Member) -> settings_pb2.StageStatus:
        # Not closed by hand: grpc.aio's close looks at all tasks of the event loop, of which every worker has one, and
        # half of a join's cost would be that. A channel to which nobody refers any more ends its connection at once.
        channel = grpc.aio.insecure_channel(member.address, options=self._options)
        stub: thinker_pb2_grpc.ThinkerStub | dit_pb2_grpc.DitStub
        match member.kind:
            case Kind.THINKER:
                stub = thinker_pb2_grpc.ThinkerStub(channel)
            case Kind.DIT:
                stub = dit_pb2_grpc.DitStub(channel)
        status: settings_pb2.StageStatus = await stub.GetStatus(settings_pb2.GetStatusRequest())
        return status

    def _slow(self, member: Member) -> SlowWorkerError:
        return SlowWorkerError(
            f"{member.worker_id} at {member.address} did not answer GetStatus in {self._dial_s} s; if that goes on, see"
            " that the registry's host reaches this address: --advertise-address, firewalls"
        )


def _advice(member: Member, found: str) -> str:
    own = "; every host takes that address for its own" if is_loopback(member.address) else ""
    return (
        f"{member.worker_id} advertises {member.address}, but {found}{own}: start it with --advertise-address HOST:PORT"
        " that other hosts reach, and a --bind that listens there"
    )
