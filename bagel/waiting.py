"""Waiting in an event loop for things that cannot be stopped half way."""

import asyncio
import time
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def settle(future: "asyncio.Future[Any]") -> BaseException | None:
    """Wait until a future is over; its exception, if it has one.

    When the waiting task is cancelled, even several times, it still waits for the end, and is cancelled then: what the
    future uses may be given back afterwards.
    """
    try:
        await asyncio.wait({future})
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({future})
        if not future.cancelled():
            future.exception()
        raise
    return None if future.cancelled() else future.exception()


async def finish(future: "asyncio.Future[T]") -> T:
    """As `settle`, with the future's result or its exception raised."""
    await settle(future)
    return future.result()


async def sleep_until(wake: asyncio.Event, deadline_s: float | None) -> None:
    """Wait for an event, or until `deadline_s` on the monotonic clock."""
    with suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
