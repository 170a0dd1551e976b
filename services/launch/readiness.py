"""Telling people what a starting node waits for, from the gateway's `/readyz`: bars on a terminal, lines elsewhere.

A node without a gateway has its stages' own word.
"""

import asyncio
import http.client
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bagel.logs import get_logger
from services.launch.supervisor import Child

POLL_S = 0.25
REPEAT_S = 5.0
TIMEOUT_S = 2.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_STARTING: dict[str, Any] = {"ready": False, "reasons": ["the gateway is starting"], "stages": []}


async def report_until_ready(host: str, port: int) -> None:
    """Show what is missing whenever that changes, and in the end that everything is there."""
    started = time.monotonic()
    with ExitStack() as stack:
        show = _Bars(stack) if sys.stderr.isatty() else _Lines()
        while not (body := await asyncio.to_thread(_readiness, host, port))["ready"]:
            show.update(body)
            await asyncio.sleep(POLL_S)
    shown = "localhost" if host in ("127.0.0.1", *_ANY_ADDRESS) else host
    get_logger().info("serving", url=f"http://{shown}:{port}", after_s=round(time.monotonic() - started, 1))


async def report_stages_until_ready(children: Sequence[Child]) -> None:
    """As `report_until_ready`, on a node whose gateway is elsewhere."""
    started = time.monotonic()
    while not all(child.now is not None and child.now.ready.is_set() for child in children):
        await asyncio.sleep(POLL_S)
    names = [child.spec.name for child in children]
    get_logger().info("serving", stages=names, after_s=round(time.monotonic() - started, 1))


async def count_ready_stages(host: str, port: int) -> int | None:
    """Stages that the gateway would send requests to now; None when it does not say."""
    body = await asyncio.to_thread(_readiness, host, port)
    return None if body is _STARTING else sum(stage.get("state") == "ready" for stage in body["stages"])


class _Lines:
    """The reasons, when they change, but not more often than people read."""

    def __init__(self) -> None:
        self._said, self._said_at = "", 0.0

    def update(self, body: dict[str, Any]) -> None:
        text = "; ".join(body["reasons"])
        if text != self._said and (not self._said or time.monotonic() - self._said_at > REPEAT_S):
            self._said, self._said_at = text, time.monotonic()
            get_logger().info("waiting", reasons=text)


class _Bars:
    """A bar for each stage that loads weights, with bytes and time left."""

    def __init__(self, stack: ExitStack) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
        self._tasks: dict[str, TaskID] = {}

    def update(self, body: dict[str, Any]) -> None:
        for stage in body["stages"]:
            name = stage["stage"]
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=None)
            done, total = stage.get("loaded_bytes", 0), stage.get("total_bytes") or None
            if stage["state"] == "ready":
                done = total = self._progress.tasks[self._tasks[name]].total or 1
            description = f"{name}: {stage['state']}"
            self._progress.update(self._tasks[name], description=description, completed=done, total=total)


def _readiness(host: str, port: int) -> dict[str, Any]:
    """The gateway's answer; what is known without it."""
    connection = http.client.HTTPConnection(_ANY_ADDRESS.get(host, host), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        body: dict[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return _STARTING
    finally:
        connection.close()
    return body
