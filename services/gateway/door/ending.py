"""Ends a call that another call cancels, or whose time is over, wherever it is: also while its caller reads nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bagel.errors import DeadlineError
from bagel.waiting import sleep_until
from services.gateway.calls import LATE
from services.gateway.door.statuses import StoppedError


@asynccontextmanager
async def ended_by(cancelled: asyncio.Event, deadline_s: float) -> AsyncIterator[None]:
    """A block of this task that lasts until `cancelled` is set, or until `deadline_s` on the monotonic clock, at most.

    Raises StoppedError, DeadlineError.
    """
    task = asyncio.current_task()
    assert task is not None

    async def watch() -> None:
        await sleep_until(cancelled, deadline_s)
        task.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if cancelled.is_set():
            raise StoppedError("the request was cancelled by another call") from None
        if time.monotonic() >= deadline_s:
            raise DeadlineError(LATE) from None
        raise
    finally:
        watching.cancel()
