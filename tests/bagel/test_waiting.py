"""Waiting for what cannot be stopped: cancelled once or twice, the waiter still sees its end first."""

import asyncio
import threading
import time

import pytest

from bagel.waiting import finish, settle, sleep_until


async def test_a_cancelled_waiter_waits_for_the_end_however_often_it_is_cancelled() -> None:
    release, ended = threading.Event(), threading.Event()

    def work() -> None:
        release.wait(10)
        ended.set()

    waiting = asyncio.create_task(finish(asyncio.get_running_loop().run_in_executor(None, work)))
    await asyncio.sleep(0)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_an_exception_is_told_or_raised() -> None:
    def fail() -> None:
        raise ValueError("no")

    loop = asyncio.get_running_loop()
    assert isinstance(await settle(loop.run_in_executor(None, fail)), ValueError)
    with pytest.raises(ValueError, match="no"):
        await finish(loop.run_in_executor(None, fail))
    assert await finish(loop.run_in_executor(None, lambda: 3)) == 3


async def test_a_sleeper_wakes_by_its_event_or_its_deadline() -> None:
    wake = asyncio.Event()
    await asyncio.wait_for(sleep_until(wake, time.monotonic() + 0.02), 5)
    assert not wake.is_set()
    wake.set()
    await asyncio.wait_for(sleep_until(wake, None), 5)
