"""Waiting for what another process or task does: asked again and again, with a breath in between, up to a deadline.

Without the breath, the one that asks and the one that answers keep a core to themselves: on two busy cores the threads
that did the work waited for seconds, ready to run, and a stage was taken for dead.
"""

import asyncio
import time
from collections.abc import Callable

BREATH_S = 0.005
TIMEOUT_S = 20.0
Otherwise = str | Callable[[], str]


def wait_until(
    condition: Callable[[], object],
    otherwise: str | Callable[[], str] = "it does not come",
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Return once the condition holds; fail with `otherwise` when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(BREATH_S)


async def until(condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """The same on an event loop. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(BREATH_S)
