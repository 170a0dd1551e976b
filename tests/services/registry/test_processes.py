"""The registry's process and real stages: joining while they load, draining, ends that say what to change."""

import asyncio
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from bagel.members import MemberState
from bagel.watching import watch_members
from services.registry.__main__ import main
from services.registry.config import RegistryConfig
from services.registry.server import running_registry
from tests.processes import START_TIMEOUT_S, Process, running
from tests.services.registry.workers import SOON_S, hear, hear_of

STAGE = ("--kv-pool-tokens", "2048", "--plain-progress", "--log-format", "json")
GOLDEN, TOY = ("--model", "tests/golden/checkpoint"), ("--model", "toy")


async def started_registry(stack: ExitStack, *flags: str, bind: str = "127.0.0.1:0") -> tuple[Process, str]:
    process = stack.enter_context(running("services.registry", "--bind", bind, "--log-format", "json", *flags))
    return process, (await asyncio.to_thread(process.wait_event, "listening"))["address"]


def kept_address(stack: ExitStack) -> str:
    """An address where nobody listens: the kernel gives its port to nobody, but who names it may listen there."""
    keeper = stack.enter_context(socket.socket())
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{keeper.getsockname()[1]}"


async def test_a_stage_joins_drains_and_leaves_and_one_of_another_model_is_refused_within_5_s(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame")
    with ExitStack() as stack:
        _, master = await started_registry(stack, "--join-token-file", str(secret))
        at = ("--master", master, "--join-token-file", str(secret))
        watch = watch_members(master, token="open sesame")
        dit = stack.enter_context(running("services.dit", *GOLDEN, *STAGE, *at, "--worker-id", "one"))
        loading = await hear_of(watch, "one", MemberState.LOADING, START_TIMEOUT_S)
        # No address was said: it is that of this host towards its master.
        assert loading.address.startswith("127.0.0.1:")
        ready = await hear_of(watch, "one", MemberState.READY, START_TIMEOUT_S)
        assert (ready.epoch, ready.load.free_pages > 0) == (loading.epoch, True)
        # It does not wait for its weights to hear that it is not wanted.
        other = stack.enter_context(running("services.thinker", *TOY, *STAGE, *at))
        await asyncio.to_thread(other.wait_event, "listening")
        refused = await asyncio.to_thread(other.wait_event, "cannot_start", SOON_S)
        assert "serves toy (hash " in refused["reason"]
        assert "but one serves checkpoint (hash " in refused["reason"]
        assert await asyncio.to_thread(other.wait_exit) == 78
        dit.send(signal.SIGTERM)
        await hear_of(watch, "one", MemberState.DRAINING)
        while "one" not in (await hear(watch)).left:
            pass
        assert await asyncio.to_thread(dit.wait_exit) == 0
        await watch.aclose()


async def test_a_stage_whose_device_hangs_leaves_and_ends_when_it_is_asked_to() -> None:
    async with running_registry(RegistryConfig(bind="127.0.0.1:0", drain_s=0.0)) as registry:
        flags = ("--master", registry.address, "--worker-id", "one", "--log-format", "json", "--drain-s", "0")
        with running("tests.entry.hanging_stage", *flags) as hanging:
            watch = watch_members(registry.address, token=None)
            await asyncio.to_thread(hanging.wait_event, "joined")
            await hear_of(watch, "one", MemberState.READY)
            hanging.send(signal.SIGTERM)
            while "one" not in (await hear(watch)).left:
                pass
            assert await asyncio.to_thread(hanging.wait_exit, SOON_S) == 1
            assert "device_hangs" in hanging.tail()
            await watch.aclose()


async def test_a_stage_is_ready_without_its_master_and_a_killed_one_is_gone_at_once() -> None:
    with ExitStack() as stack:
        first, master = await started_registry(stack, bind=kept_address(stack))
        first.send(signal.SIGKILL)
        await asyncio.to_thread(first.wait_exit)
        thinker = stack.enter_context(running("services.thinker", *GOLDEN, *STAGE, "--master", master))
        await asyncio.to_thread(thinker.wait_event, "listening")
        missing = await asyncio.to_thread(thinker.wait_event, "master_unreachable", SOON_S)
        assert (missing["master"], "check --master" in missing["hint"]) == (master, True)
        await asyncio.to_thread(thinker.wait_event, "ready")
        again = stack.enter_context(running("services.registry", "--bind", master, "--log-format", "json"))
        await asyncio.to_thread(again.wait_event, "listening")
        joined = await asyncio.to_thread(thinker.wait_event, "joined", 3.0)
        taken = stack.enter_context(running("services.registry", "--bind", master, "--log-format", "json"))
        thinker.send(signal.SIGKILL)
        left = await asyncio.to_thread(again.wait_event, "worker_left", 3.0)
        assert left["worker"] == joined["worker"]
        assert await asyncio.to_thread(taken.wait_exit) == 78
        assert f"--bind {master}: cannot listen there; is the port taken?" in taken.tail()
        again.send(signal.SIGTERM)
        assert await asyncio.to_thread(again.wait_exit) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--bind", "nowhere"), "--bind nowhere: must be HOST:PORT"),
        (("--heartbeat-s", "60"), "--heartbeat-s must be 0.05 to 5"),
    ],
)
def test_a_wrong_flag_of_the_registry_is_one_clear_message(
    flags: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(flags))
    assert ended.value.code == 78
    assert said in capsys.readouterr().err
