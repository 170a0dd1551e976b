"""The supervisor with small real processes: rolling restarts in order, successors, and what does not come back."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bagel.logs import configure_logs
from services.launch.plan import ChildSpec, Role
from services.launch.rolling import roll
from services.launch.supervisor import Supervisor

# Serves until SIGTERM: notes its life in a file, tells that it is ready; where a file says that it is broken, it ends.
PROGRAM = """
import os, pathlib, signal, sys, threading
name, folder, _, fd = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def note(what):
    with open(folder / "lives", "a") as file:
        file.write(f"{name} {what}\\n")
if (folder / f"broken-{name}").exists():
    sys.exit(3)
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
