"""Workers, watchers and a registry over real sockets: who joins, who is refused and why, who left."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bagel.errors import ConfigError
from bagel.master import REFUSALS, open_master
from bagel.member_wire import member_to_proto
from bagel.members import PROTOCOL_VERSION, Kind, Load, Member, MemberState
from bagel.membership import Membership
from bagel.v1 import registry_pb2, registry_pb2_grpc
from bagel.watching import Watched, watch_members
from services.registry.config import RegistryConfig
from services.registry.dialing import Dialer
from services.registry.errors import STATUSES, SlowWorkerError
from services.registry.server import Running, running_registry
from tests.polling import TIMEOUT_S, until
from tests.ports import free_port
from tests.services.registry.workers import SOON_S, Worker, hear, hear_of, stage

ANY = RegistryConfig(bind="127.0.0.1:0", drain_s=1.0)


@pytest.fixture
async def registry() -> AsyncIterator[Running]:
    async with running_registry(ANY) as running:
        yield running


def member_of(worker: Worker, registry: Running) -> Membership:
    return Membership(registry.address, token=None, describe=worker.describe)


def open_sockets() -> int:
    return sum(
        os.path.realpath(each.path).rpartition("/")[2].startswith("socket:") for each in os.scandir("/proc/self/fd")
    )


async def refusal(master: str, worker: Worker, token: str | None = None) -> str:
    """Why a worker that was never joined is refused, which both sides know within 5 s."""
    began_s = time.monotonic()
    async with Membership(master, token=token, describe=worker.describe) as membership:
        with pytest.raises(ConfigError) as refused:
            await asyncio.wait_for(membership.task, SOON_S)
    assert time.monotonic() - began_s < SOON_S
    return str(refused.value)


async def ended(master: str, *messages: registry_pb2.JoinRequest) -> grpc.aio.AioRpcError:
    """How the registry ends a stream of these messages."""
    async with open_master(master) as channel:
        call = registry_pb2_grpc.RegistryStub(channel).Join(timeout=TIMEOUT_S)
        with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # the call is over; reading says why
            for message in messages:
                await call.write(message)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            async for _ in call:
                pass
        return error.value


@asynccontextmanager
async def said() -> AsyncIterator[Callable[[str, str], Awaitable[MutableMapping[str, Any]]]]:
    """Waits for a line of the log with some reason, written since the block began."""
    lines: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    def keep(logger: object, method: str, line: MutableMapping[str, Any]) -> NoReturn:
        lines.put_nowait(line)
        raise structlog.DropEvent

    async def wait(event: str, reason: str) -> MutableMapping[str, Any]:
        async with asyncio.timeout(SOON_S):
            while (line := await lines.get())["event"] != event or reason not in line["reason"]:
                pass
            return line

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[keep])
    try:
        yield wait
    finally:
        structlog.configure(processors=before)


def hello(member: Member, *, version: int = PROTOCOL_VERSION) -> registry_pb2.JoinRequest:
    return registry_pb2.JoinRequest(
        hello=registry_pb2.JoinHello(worker=member_to_proto(member), protocol_version=version)
    )


async def test_two_watchers_hear_of_every_worker_that_joins_changes_and_leaves(registry: Running) -> None:
    async with stage("a", kind=Kind.THINKER) as thinker, stage("b") as dit:
        early = watch_members(registry.address, token=None)
        assert await hear(early) == Watched(True, ())
        async with member_of(thinker, registry):
            joined = (await hear(early)).changed[0]
            assert joined == replace(thinker.member, epoch=joined.epoch)
            async with member_of(dit, registry) as membership:
                await hear_of(early, "b", MemberState.LOADING)
                late = watch_members(registry.address, token=None)
                everybody = await hear(late)
                assert (everybody.snapshot, [each.worker_id for each in everybody.changed]) == (True, ["a", "b"])
                dit.member = replace(dit.member, load=Load(running=1, queued=2, free_pages=3))
                dit.enter(MemberState.READY, membership)
                for watch in (early, late):
                    assert (await hear_of(watch, "b", MemberState.READY)).load == Load(
                        running=1, queued=2, free_pages=3
                    )
                dit.enter(MemberState.DRAINING, membership)
                for watch in (early, late):
                    await hear_of(watch, "b", MemberState.DRAINING)
            for watch in (early, late):
                assert await hear(watch) == Watched(False, (), ("b",))
        assert await hear(late) == Watched(False, (), ("a",))
        for watch in (early, late):
            await watch.aclose()


async def test_a_registry_and_its_workers_speak_ipv6() -> None:
    async with (
        running_registry(replace(ANY, bind="[::1]:0")) as registry,
        stage("a", host="::1") as worker,
        member_of(worker, registry),
    ):
        watch = watch_members(registry.address, token=None)
        assert (await hear_of(watch, "a", MemberState.LOADING)).address.startswith("[::1]:")
        await watch.aclose()


async def test_a_process_that_takes_a_workers_id_takes_its_place_and_the_older_stays_out(registry: Running) -> None:
    async with stage("a") as older, stage("a") as newer, member_of(older, registry) as first:
        watch = watch_members(registry.address, token=None)
        was = await hear_of(watch, "a", MemberState.LOADING)
        async with member_of(newer, registry):
            now = (await hear(watch)).changed[0]
            assert (now.address, now.epoch > was.epoch) == (newer.member.address, True)
            await asyncio.wait_for(first.task, SOON_S)  # ends, and not with an error
            assert registry.book.members() == (now,)
        await watch.aclose()


async def test_a_stale_epoch_and_a_wrong_order_of_messages_are_refused(registry: Running) -> None:
    async with stage("a") as worker:
        beat = registry_pb2.JoinRequest(heartbeat=registry_pb2.Heartbeat(epoch=1))
        stale = await ended(registry.address, hello(worker.member), beat)
        assert (stale.code().name, "stale epoch 1; its present one is" in stale.details()) == ("ABORTED", True)
        for messages in ((beat,), (hello(worker.member), hello(worker.member))):
            wrong = await ended(registry.address, *messages)
            assert (wrong.code().name, "must be a " in wrong.details()) == ("INVALID_ARGUMENT", True)
        for missing in ("worker_id", "kind", "address", "model_hash", "boot_epoch"):
            incomplete = hello(worker.member)
            incomplete.hello.worker.ClearField(missing)
            wrong = await ended(registry.address, incomplete)
            assert wrong.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert missing in (wrong.details() or "") or ("bagel-param", missing) in tuple(wrong.trailing_metadata())
    assert not registry.book.members()


async def test_another_model_is_refused_with_both_names(registry: Running) -> None:
    async with stage("a") as first, stage("b", model="bbbb") as second, member_of(first, registry):
        watch = watch_members(registry.address, token=None)
        await hear_of(watch, "a", MemberState.LOADING)
        reason = await refusal(registry.address, second)
        assert "b serves model-bbbb (hash bbbb), but a serves model-aaaa (hash aaaa)" in reason
        assert f"--master {registry.address}" in reason
        await watch.aclose()


async def test_another_version_of_the_protocol_is_refused_with_both_numbers(registry: Running) -> None:
    async with stage("a") as worker:
        error = await ended(registry.address, hello(worker.member, version=7))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "the worker speaks version 7" in (error.details() or "")
    assert f"the registry version {PROTOCOL_VERSION}" in (error.details() or "")


async def test_an_address_that_does_not_lead_to_the_worker_is_refused_and_says_what_to_change(
    registry: Running,
) -> None:
    async with stage("a") as worker, stage("b") as other, stage("c", kind=Kind.THINKER) as thinker:
        mine = worker.member
        for address, found in (
            (f"127.0.0.1:{free_port()}", "nobody answers the registry there"),
            (other.member.address, f"another process is there, with boot epoch {other.member.boot_epoch}"),
            (thinker.member.address, "no dit is there"),
        ):
            worker.member = replace(mine, address=address)
            reason = await refusal(registry.address, worker)
            assert f"a advertises {address}, but {found}" in reason
            assert "every host takes that address for its own" in reason
            assert "--advertise-address HOST:PORT" in reason
    assert not registry.book.members()


async def test_a_worker_that_is_there_but_hangs_may_try_again() -> None:
    async with stage("a", hangs=True) as worker:
        with pytest.raises(SlowWorkerError, match=r"did not answer GetStatus in 0\.2 s"):
            await Dialer(dial_s=0.2).check(worker.member)
    assert STATUSES[SlowWorkerError] not in REFUSALS


@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_worker_that_takes_a_connection_late_or_none_for_now_may_try_again(waiting: int) -> None:
    async with stage("a") as worker:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as busy, ExitStack() as others:
            for _ in range(waiting):  # more than it lets wait: what comes later gets no answer at all
                other = others.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(busy.getsockname())
            member = replace(worker.member, address=f"127.0.0.1:{busy.getsockname()[1]}")
            with pytest.raises(SlowWorkerError, match=r"in 0\.2 s; if that goes on, .* --advertise-address"):
                await Dialer(dial_s=0.2).check(member)


async def test_dialling_back_leaves_no_connection_behind() -> None:
    async with stage("a") as worker:
        before = open_sockets()
        for _ in range(10):
            await Dialer().check(worker.member)
        await until(lambda: open_sockets() <= before)


async def test_without_the_secret_nobody_joins_or_watches(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    async with running_registry(replace(ANY, join_token_file=str(secret))) as registry, stage("a") as worker:
        for token, what in ((None, "no join token was sent"), ("barley", "a wrong join token was sent")):
            for reason in (await refusal(registry.address, worker, token), await watch_refusal(registry, token)):
                assert what in reason
                assert "--join-token-file" in reason
        async with Membership(registry.address, token="open sesame", describe=worker.describe):
            watch = watch_members(registry.address, token="open sesame")
            await hear_of(watch, "a", MemberState.LOADING)
            await watch.aclose()


async def watch_refusal(registry: Running, token: str | None) -> str:
    watch = watch_members(registry.address, token=token)
    with pytest.raises(ConfigError) as refused:
        await hear(watch)
    return str(refused.value)


async def test_an_address_of_something_else_is_no_registry() -> None:
    async with stage("a") as worker, stage("b") as other:
        reason = await refusal(other.member.address, worker)
        assert f"--master {other.member.address}: what answers there is no registry" in reason


async def test_a_silent_worker_is_lost_and_its_stream_ended() -> None:
    # Long enough that a machine which stands still for a moment silences nobody else.
    async with running_registry(replace(ANY, heartbeat_s=1.0)) as registry, stage("a") as worker, stage("b") as lively:
        watch = watch_members(registry.address, token=None)
        async with member_of(lively, registry):
            await hear_of(watch, "b", MemberState.LOADING)
            error = await ended(registry.address, hello(worker.member))
            assert (error.code().name, "no heartbeat" in error.details()) == ("DEADLINE_EXCEEDED", True)
            assert [m.worker_id for m in (await hear(watch)).changed] == ["a"]
            assert (await hear(watch)).left == ("a",)
            assert [m.worker_id for m in registry.book.members()] == ["b"]
        await watch.aclose()


async def test_a_registry_that_stood_still_hears_its_workers_before_it_looks_at_them() -> None:
    async with running_registry(replace(ANY, heartbeat_s=0.2)) as registry, stage("a") as worker, stage("b") as later:
        watch = watch_members(registry.address, token=None)
        async with member_of(worker, registry):
            before = await hear_of(watch, "a", MemberState.LOADING)
            # Twice as long as a worker may be silent. All share one loop, so nobody says anything meanwhile.
            threading.Event().wait(1.0)
            async with member_of(later, registry):
                await hear_of(watch, "b", MemberState.LOADING)
                assert [m.epoch for m in registry.book.members() if m.worker_id == "a"] == [before.epoch]
        await watch.aclose()


async def test_health_is_served(registry: Running) -> None:
    async with grpc.aio.insecure_channel(registry.address) as channel:
        for name in ("", "bagel.v1.Registry"):
            request = health_pb2.HealthCheckRequest(service=name)
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=SOON_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_workers_are_back_within_3_s_of_a_restart_and_watchers_hear_it_as_a_snapshot() -> None:
    config = replace(ANY, bind=f"127.0.0.1:{free_port()}")
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(stage("a"))
        async with running_registry(config) as registry:
            membership = await stack.enter_async_context(member_of(worker, registry))
            watch = watch_members(registry.address, token=None)
            before = await hear_of(watch, "a", MemberState.LOADING)
        # Ready while nobody listens: the next hello says it.
        worker.enter(MemberState.READY, membership)
        async with running_registry(config):
            back_s = time.monotonic()
            first = await hear(watch)
            assert first.snapshot
            after = first.changed[0] if first.changed else await hear_of(watch, "a", MemberState.READY)
            assert time.monotonic() - back_s < 3
            assert (after.state, after.epoch > before.epoch) == (MemberState.READY, True)
        await watch.aclose()


async def test_a_worker_waits_for_a_master_that_is_not_there_yet_and_says_so() -> None:
    config = replace(ANY, bind=f"127.0.0.1:{free_port()}")
    async with stage("a") as worker, said() as lines, Membership(config.bind, token=None, describe=worker.describe):
        line = await lines("master_unreachable", "refused")
        assert line["master"] == config.bind
        assert "check --master" in line["hint"]
        async with running_registry(config) as registry:
            watch = watch_members(registry.address, token=None)
            await hear_of(watch, "a", MemberState.LOADING)
            await watch.aclose()


async def test_a_worker_that_was_joined_is_ended_by_no_master(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("new")
    config = replace(ANY, bind=f"127.0.0.1:{free_port()}")
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(stage("a"))
        async with running_registry(config) as registry:
            membership = await stack.enter_async_context(member_of(worker, registry))
            watch = watch_members(registry.address, token=None)
            await hear_of(watch, "a", MemberState.LOADING)
        async with running_registry(replace(config, join_token_file=str(secret))):
            async with said() as lines:
                await lines("master_lost", "no join token was sent")
            assert not membership.task.done()
        async with running_registry(config):
            await hear_of(watch, "a", MemberState.LOADING)
        await watch.aclose()
