"""The registry's RPCs: streams in, the book kept, watchers told. The only file here that knows `registry.proto`."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bagel.errors import BagelError, RequestError
from bagel.logs import get_logger
from bagel.member_wire import load_from_proto, member_from_proto, member_to_proto, state_from_proto
from bagel.members import PROTOCOL_VERSION, Member
from bagel.rpc import ServicerContext
from bagel.v1 import registry_pb2, registry_pb2_grpc
from services.registry.book import Change, WorkerBook
from services.registry.dialing import Dialer
from services.registry.errors import ClosingError, OtherVersionError, ReplacedError, SilentError, WrongTokenError

HELLO_S = 5.0


@dataclass(slots=True)
class _Stream:
    """An open Join: its handler's task, and why it is being ended from here, once it is."""

    task: "asyncio.Task[object]"
    ending: BagelError | None = None

    def end(self, error: BagelError) -> None:
        """Make the handler raise the error."""
        if self.ending is None:
            self.ending = error
            self.task.cancel()


class RegistryServicer(registry_pb2_grpc.RegistryServicer):
    """Serves `bagel.v1.Registry` from one event loop."""

    def __init__(self, book: WorkerBook, dialer: Dialer, *, token: str | None, heartbeat_s: float) -> None:
        self._book, self._dialer = book, dialer
        self._token, self._heartbeat_s = token, heartbeat_s
        self._streams: dict[int, _Stream] = {}  # by epoch
        self._watches: dict[asyncio.Event, _Stream] = {}  # by what wakes them

    async def Join(
        self, requests: AsyncIterator[registry_pb2.JoinRequest], context: ServicerContext
    ) -> AsyncIterator[registry_pb2.JoinEvent]:
        messages = aiter(requests)
        candidate = await self._admit(messages)
        try:
            await self._dialer.check(candidate)
            member, replaced = self._book.join(candidate, time.monotonic())
        except BagelError as error:
            get_logger().warning("worker_refused", **_named(candidate), reason=str(error))
            raise
        if replaced is not None:
            self._replace(replaced, member)
        self._tell()
        get_logger().info("worker_joined", **_named(member), workers=len(self._book))
        with self._held(member) as stream:
            try:
                yield registry_pb2.JoinEvent(
                    joined=registry_pb2.Joined(epoch=member.epoch, heartbeat_s=self._heartbeat_s)
                )
                async for request in messages:
                    self._beat(member.worker_id, request)
            except asyncio.CancelledError:
                if stream.ending is None:
                    raise
                raise stream.ending from None

    async def Watch(
        self, request: registry_pb2.WatchRequest, context: ServicerContext
    ) -> AsyncIterator[registry_pb2.WatchEvent]:
        self._check_token(request.join_token)
        news, (snapshot, follower) = asyncio.Event(), self._book.follow()
        stream = self._watches[news] = _Stream(_this_task())
        try:
            yield _event(snapshot)
            while True:
                await news.wait()
                news.clear()
                if follower.behind:
                    yield _event(follower.take())
        except asyncio.CancelledError:
            if stream.ending is None:
                raise
            raise stream.ending from None
        finally:
            self._book.unfollow(follower)
            del self._watches[news]

    async def look_after(self, every_s: float) -> None:
        """Remove silent workers, for ever. After a look that came late, what they said meanwhile is heard first."""
        while True:
            due_s = time.monotonic() + every_s
            await asyncio.sleep(every_s)
            if time.monotonic() > due_s + every_s:
                continue
            lost = self._book.expire(time.monotonic())
            for member in lost:
                get_logger().warning("worker_lost", **_named(member), reason="no heartbeat", workers=len(self._book))
                stream = self._streams.get(member.epoch)
                if stream is not None:
                    stream.end(SilentError(f"{member.worker_id} sent no heartbeat for too long; join again"))
            if lost:
                self._tell()

    def close(self) -> None:
        """End every stream: workers and gateways look for the next registry at once."""
        for stream in (*self._streams.values(), *self._watches.values()):
            stream.end(ClosingError("the registry stops"))

    async def _admit(self, messages: AsyncIterator[registry_pb2.JoinRequest]) -> Member:
        """Who wants to join. Raises RequestError, WrongTokenError, OtherVersionError."""
        try:
            async with asyncio.timeout(HELLO_S):
                first = await anext(messages, None)
        except TimeoutError:
            first = None
        if first is None or first.WhichOneof("message") != "hello":
            raise RequestError("the first message must be a JoinHello", param="message")
        hello = first.hello
        try:
            self._check_token(hello.join_token)
            # Before the fields are looked at: another version may have others.
            _check_version(hello.protocol_version)
            return member_from_proto(hello.worker)
        except BagelError as error:
            worker = hello.worker
            get_logger().warning("worker_refused", worker=worker.worker_id, address=worker.address, reason=str(error))
            raise

    def _beat(self, worker_id: str, request: registry_pb2.JoinRequest) -> None:
        if request.WhichOneof("message") != "heartbeat":
            raise RequestError("every message after the first must be a Heartbeat", param="message")
        beat = request.heartbeat
        state, load = state_from_proto(beat.state), load_from_proto(beat.load)
        if self._book.beat(worker_id, beat.epoch, state, load, time.monotonic()):
            get_logger().info("worker_changed", worker=worker_id, state=state.value)
            self._tell()

    @contextmanager
    def _held(self, member: Member) -> Iterator[_Stream]:
        """The time of a membership: it ends with the block."""
        stream = self._streams[member.epoch] = _Stream(_this_task())
        try:
            yield stream
        finally:
            del self._streams[member.epoch]
            if self._book.leave(member.worker_id, member.epoch):
                get_logger().info("worker_left", **_named(member), workers=len(self._book))
                self._tell()

    def _replace(self, older: Member, newer: Member) -> None:
        get_logger().info("worker_replaced", **_named(older), by_address=newer.address, by_epoch=newer.epoch)
        stream = self._streams.get(older.epoch)
        if stream is not None:
            stream.end(
                ReplacedError(
                    f"another process, at {newer.address}, joined as {older.worker_id}: give each worker its own"
                    " --worker-id"
                )
            )

    def _check_token(self, token: str) -> None:
        if self._token is None or hmac.compare_digest(token.encode(), self._token.encode()):
            return
        what = "a wrong join token was sent" if token else "no join token was sent"
        raise WrongTokenError(f"{what}; name the file with the registry's secret: --join-token-file FILE")

    def _tell(self) -> None:
        for news in self._watches:
            news.set()


def _check_version(version: int) -> None:
    if version != PROTOCOL_VERSION:
        raise OtherVersionError(
            f"the worker speaks version {version} of the registry's protocol, the registry version"
            f" {PROTOCOL_VERSION}: run the same release of bagel-serve on both"
        )


def _event(change: Change) -> registry_pb2.WatchEvent:
    return registry_pb2.WatchEvent(
        snapshot=change.snapshot, changed=[member_to_proto(member) for member in change.changed], left=change.left
    )


def _this_task() -> "asyncio.Task[object]":
    task = asyncio.current_task()
    assert task is not None
    return task


def _named(member: Member) -> dict[str, str | int]:
    return {"worker": member.worker_id, "kind": member.kind.value, "address": member.address, "epoch": member.epoch}
