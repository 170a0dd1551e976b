"""The supervisor with small real processes: rolling restarts in order, successors, and what does not come back."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bagel.logs import configure_logs
from bagel.stage_exit import EXIT_CONFIG
from services.launch import supervisor as supervising
from services.launch.plan import ChildSpec, Role
from services.launch.rolling import is_ready, roll
from services.launch.supervisor import Supervisor
from tests.processes import ROOT

# Serves until SIGTERM: notes its life in a file, tells that it is ready; where a file says that it is broken, it ends.
PROGRAM = """
import os, pathlib, signal, sys, threading
name, folder, _, fd = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def note(what):
    with open(folder / "lives", "a") as file:
        file.write(f"{name} {what}\\n")
if (folder / f"broken-{name}").exists():
    sys.exit(int((folder / f"broken-{name}").read_text() or 3))
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
note("begins")
os.write(fd, b"1")
over.wait()
note("ends")
"""


def child(name: str, folder: Path, role: Role, *, overlaps: bool = False) -> ChildSpec:
    command = (sys.executable, "-c", PROGRAM, name, str(folder))
    return ChildSpec(name, command, role, tells_ready=True, overlaps=overlaps)


@asynccontextmanager
async def supervised(folder: Path) -> AsyncIterator[Supervisor]:
    """Gateway and two stages, all of them ready."""
    specs = [
        child("gateway", folder, Role.GATEWAY, overlaps=True), child("one", folder, Role.STAGE),
        child("two", folder, Role.STAGE),
    ]  # fmt: skip
    supervisor = Supervisor(specs, drain_s=5)
    running = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(30):
        for each in supervisor.children:
            await each.started.wait()
            assert each.now is not None
            await each.now.ready.wait()
        (folder / "lives").unlink()
        yield supervisor
        supervisor.over.set()
        assert await running == 0


def lives(folder: Path) -> list[str]:
    return (folder / "lives").read_text().splitlines()


@pytest.fixture
def logs() -> io.StringIO:
    stream = io.StringIO()
    configure_logs(service="test", fmt="json", stream=stream)
    return stream


def events(logs: io.StringIO, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in logs.getvalue().splitlines()]
    return [event for event in found if event["event"] == name]


async def test_stages_are_renewed_one_by_one_and_a_gateway_has_its_successor_first(
    tmp_path: Path, logs: io.StringIO
) -> None:
    async def ready_stages() -> int:
        return 2

    async with supervised(tmp_path) as supervisor:
        before = [each.now for each in supervisor.children]
        await roll(supervisor, ready_stages)
        assert lives(tmp_path) == [
            "one ends", "one begins", "two ends", "two begins", "gateway begins", "gateway ends",
        ]  # fmt: skip
        assert all(each.now is not old for each, old in zip(supervisor.children, before, strict=True))
        assert events(logs, "rolled")
    assert not events(logs, "crashed")
    assert sorted(lives(tmp_path)[-3:]) == ["gateway ends", "one ends", "two ends"]
    assert lives(tmp_path)[-3] == "gateway ends"


async def test_a_successor_that_cannot_start_leaves_the_old_one(tmp_path: Path, logs: io.StringIO) -> None:
    async with supervised(tmp_path) as supervisor:
        gateway = supervisor.children[0]
        old = gateway.now
        (tmp_path / "broken-gateway").touch()
        await roll(supervisor, None)
        assert gateway.now is old
        assert old is not None
        assert old.alive
    assert "the old one goes on" in events(logs, "roll_stopped")[0]["reason"]
    assert not events(logs, "crashed")


async def test_a_stage_that_does_not_come_back_ends_the_round_and_is_tried_again(
    tmp_path: Path, logs: io.StringIO
) -> None:
    async with supervised(tmp_path) as supervisor:
        (tmp_path / "broken-one").touch()
        await roll(supervisor, None)
        assert lives(tmp_path) == ["one ends"]
        assert "one did not come back" in events(logs, "roll_stopped")[0]["reason"]
        (tmp_path / "broken-one").unlink()
        one = supervisor.children[1]
        while one.now is None or not one.now.ready.is_set():
            one.started.clear()
            await one.started.wait()
            assert one.now is not None
            await one.now.ready.wait()
        assert lives(tmp_path) == ["one ends", "one begins"]


async def test_a_node_that_stops_ends_its_round(tmp_path: Path, logs: io.StringIO) -> None:
    async def none_is_ready() -> int:
        supervisor.over.set()
        return 0

    async with supervised(tmp_path) as supervisor:
        await roll(supervisor, none_is_ready)
    assert events(logs, "roll_stopped")[0]["reason"] == "the node stops"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts without long pauses."""
    monkeypatch.setattr(supervising, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(supervising, "MAX_DELAY_S", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_a_stage_that_served_once_is_tried_for_ever(tmp_path: Path, logs: io.StringIO) -> None:
    async with supervised(tmp_path) as supervisor:
        one = supervisor.children[1]
        (tmp_path / "broken-one").write_text(str(EXIT_CONFIG))
        await roll(supervisor, None)
        while len(events(logs, "crashed")) <= supervising.MAX_QUICK_CRASHES:
            one.started.clear()
            await one.started.wait()
        (tmp_path / "broken-one").unlink()
        while one.now is not None:
            one.started.clear()
            if await is_ready(one.now):
                break
            await one.started.wait()
        assert not supervisor.over.is_set()
    assert {event["exit_status"] for event in events(logs, "crashed")} == {EXIT_CONFIG}


@pytest.mark.usefixtures("impatient")
async def test_a_stage_that_never_served_ends_the_node(tmp_path: Path, logs: io.StringIO) -> None:
    (tmp_path / "broken-one").write_text(str(EXIT_CONFIG))
    assert await Supervisor([child("one", tmp_path, Role.STAGE)], drain_s=1).run() == EXIT_CONFIG
    assert len(events(logs, "gave_up")) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("command", "env", "says"),
    [(("/nowhere",), {}, "No such file"), ((sys.executable,), {"A=": "b"}, "illegal environment variable name")],
)
async def test_a_process_that_cannot_be_started_is_told_and_ends_the_node(
    command: tuple[str, ...], env: dict[str, str], says: str, logs: io.StringIO
) -> None:
    async with asyncio.timeout(10):
        assert await Supervisor([ChildSpec("one", command, env=env)], drain_s=1).run() == 1
    told = [event["reason"] for event in events(logs, "not_started")]
    assert len(told) == supervising.MAX_QUICK_CRASHES + 1
    assert says in told[0]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("which", [0, 1])
async def test_a_round_ends_where_a_process_cannot_be_started(tmp_path: Path, logs: io.StringIO, which: int) -> None:
    async with supervised(tmp_path) as supervisor:
        broken = supervisor.children[which]
        broken.spec = replace(broken.spec, command=("/nowhere",))
        await roll(supervisor, None)
        assert not supervisor.over.is_set()
        assert [bool(each.living) for each in supervisor.children] == [True, which == 0, True]
    says = "cannot be started" if which == 0 else "one did not come back"
    assert says in events(logs, "roll_stopped")[0]["reason"]


@pytest.mark.usefixtures("impatient")
async def test_a_gateway_that_crashes_while_its_successor_starts_gets_no_second_one(
    tmp_path: Path, logs: io.StringIO
) -> None:
    async with supervised(tmp_path) as supervisor:
        gateway = supervisor.children[0]
        assert gateway.now is not None
        async with gateway.starting:
            following = asyncio.create_task(supervisor.succeed(gateway))
            gateway.started.clear()
            gateway.now.kill()
            await gateway.now.wait()
        successor = await following
        await gateway.started.wait()  # its keeper looked what is there
        await successor.ready.wait()
        assert gateway.now is successor
        assert lives(tmp_path) == ["gateway begins"]
    assert len(events(logs, "crashed")) == 1


# A node without processes on a terminal of its own, under nohup.
UNDER_NOHUP = """
import asyncio, os, signal, sys
from bagel.logs import configure_logs, get_logger
from services.launch import supervisor
os.close(os.open(sys.argv[1], os.O_RDWR))
signal.signal(signal.SIGHUP, signal.SIG_IGN)
supervisor.HANGUP_S = 0.0
configure_logs(service="test", fmt="json", stream=sys.stdout)
async def roll(_):
    get_logger().info("rolled")
async def main():
    running = asyncio.create_task(supervisor.Supervisor([], drain_s=1, roll=roll).run())
    await asyncio.sleep(0)
    get_logger().info("runs")
    return await running
sys.exit(asyncio.run(main()))
"""


def test_a_node_under_nohup_outlives_its_terminal_and_can_be_renewed_then() -> None:
    ours, its = os.openpty()
    command = [sys.executable, "-c", UNDER_NOHUP, os.ttyname(its)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "runs"
        os.close(ours)
        os.close(its)
        assert json.loads(process.stdout.readline())["event"] == "hangup_ignored"
        process.send_signal(signal.SIGHUP)
        assert json.loads(process.stdout.readline())["event"] == "rolled"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
