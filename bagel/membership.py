"""A worker's place in a registry: it joins, says regularly how it is, joins again after an outage, leaves politely.

Knows nothing of what a worker does. An outage of the registry never ends the worker.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc
from grpc import StatusCode

from bagel.errors import ConfigError
from bagel.logs import get_logger
from bagel.master import ANSWER_S, REFUSALS, Contact, explain, open_master
from bagel.member_wire import load_to_proto, member_to_proto, state_to_proto
from bagel.members import PROTOCOL_VERSION, Member
from bagel.v1 import registry_pb2, registry_pb2_grpc

LEAVE_S = 1.0
JoinCall: TypeAlias = "grpc.aio.StreamStreamCall[registry_pb2.JoinRequest, registry_pb2.JoinEvent]"


class Membership:
    """One worker's membership, for the time of an `async with`. Lives in one event loop.

    `describe` says what the worker is and how it is now. `task` is for whoever wants to hear that the registry refused
    the worker: it fails then with a ConfigError. A worker that was joined once is never refused again, only asked to
    wait, because it serves on; where another process took its id, it stays out, and the task ends.
    """

    def __init__(self, master: str, *, token: str | None, describe: Callable[[], Member]) -> None:
        self._master, self._token, self._describe = master, token, describe
        self._contact = Contact(master)
        self._news = asyncio.Event()
        self._joined = self._leaving = False
        self.task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Leave. The registry hears of it, or a second passes."""
        self._leaving = True
        self._news.set()
        await asyncio.wait({self.task}, timeout=LEAVE_S if self._joined else 0)
        self.task.cancel()
        await asyncio.wait({self.task})

    def tell(self) -> None:
        """Say at once how the worker is: its state has changed."""
        self._news.set()

    async def _run(self) -> None:
        async with open_master(self._master) as channel:
            stub = registry_pb2_grpc.RegistryStub(channel)
            while not self._leaving:
                call = stub.Join()
                try:
                    await self._hold(call)
                    reason = "it ended the membership"
                except TimeoutError:
                    reason = f"no answer within {ANSWER_S} s"
                except grpc.aio.AioRpcError as error:
                    reason = explain(error)
                    if error.code() is StatusCode.ALREADY_EXISTS:
                        get_logger().error("membership_replaced", master=self._master, reason=reason)
                        return
                    if error.code() in REFUSALS and not self._contact.known:
                        raise ConfigError(f"--master {self._master}: {reason}") from error
                finally:
                    self._joined = False
                    call.cancel()
                if not self._leaving:
                    self._contact.lost(reason)
                    await self._contact.pause()

    async def _hold(self, call: JoinCall) -> None:
        """Join and stay a member. Returns when the worker leaves or the registry ended the call without an error."""
        self._news.clear()
        member = self._describe()
        hello = registry_pb2.JoinHello(
            worker=member_to_proto(member), protocol_version=PROTOCOL_VERSION, join_token=self._token or ""
        )
        async with asyncio.timeout(ANSWER_S):
            with suppress(asyncio.InvalidStateError):  # the call is over; reading says why
                await call.write(registry_pb2.JoinRequest(hello=hello))
            event = await call.read()
        if not isinstance(event, registry_pb2.JoinEvent):
            return
        epoch = event.joined.epoch
        self._joined = True
        self._contact.found()
        get_logger().info("joined", master=self._master, worker=member.worker_id, kind=member.kind.value, epoch=epoch)
        ended = asyncio.ensure_future(call.read())
        try:
            with suppress(asyncio.InvalidStateError):
                await self._beat(call, ended, event.joined)
            async with asyncio.timeout(LEAVE_S):
                await ended
        finally:
            ended.cancel()

    async def _beat(self, call: JoinCall, ended: "asyncio.Future[Any]", joined: registry_pb2.Joined) -> None:
        """Heartbeats, until the worker leaves or the call is over."""
        while True:
            news = asyncio.ensure_future(self._news.wait())
            await asyncio.wait({ended, news}, timeout=joined.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if ended.done():
                return
            self._news.clear()
            member = self._describe()
            beat = registry_pb2.Heartbeat(
                epoch=joined.epoch, state=state_to_proto(member.state), load=load_to_proto(member.load)
            )
            async with asyncio.timeout(ANSWER_S):
                if self._leaving:
                    await call.done_writing()
                    return
                await call.write(registry_pb2.JoinRequest(heartbeat=beat))
