"""The device's thread says for how long it has been at a piece of work, and takes pieces in order."""

import asyncio
import threading

import pytest

from bagel.device_thread import DeviceThread
from bagel.stage import StageMonitor
from bagel.v1 import settings_pb2

WAIT_S = 5.0


@pytest.fixture
def device():
    with DeviceThread() as made:
        yield made


def test_an_idle_device_is_busy_for_0_s(device):
    assert device.busy_s == 0.0


async def test_a_piece_that_runs_is_counted_from_its_begin_and_no_longer_than_its_end(device):
    begun, may_end = threading.Event(), threading.Event()

    def piece():
        begun.set()
        return may_end.wait(WAIT_S)

    running = device.run(piece)
    assert await asyncio.to_thread(begun.wait, WAIT_S)
    first = device.busy_s
    assert 0.0 < first < (second := device.busy_s), "time passes while the piece runs"
    may_end.set()
    assert await running, "what the piece returns is its outcome"
    assert second < WAIT_S
    assert device.busy_s == 0.0


async def test_a_piece_that_fails_leaves_the_device_idle(device):
    def fails():
        raise ValueError("of the piece")

    with pytest.raises(ValueError, match="of the piece"):
        await device.run(fails)
    assert device.busy_s == 0.0


async def test_loops_that_hand_over_one_piece_at_a_time_take_turns(device):
    order, go = [], threading.Event()

    async def loop(name):
        for _ in range(3):
            await device.run(order.append, name)

    blocked = device.run(go.wait, WAIT_S)
    loops = [asyncio.create_task(loop(name)) for name in "ab"]
    await asyncio.sleep(0)  # both have handed over their first
    go.set()
    await asyncio.gather(blocked, *loops)
    assert order == list("ababab")


async def test_a_status_tells_for_how_long_the_device_is_at_it_once_the_stage_is_loaded(device):
    monitor, begun, may_end = StageMonitor(device), threading.Event(), threading.Event()

    def piece():
        begun.set()
        may_end.wait(WAIT_S)

    running = device.run(piece)
    assert await asyncio.to_thread(begun.wait, WAIT_S)
    assert monitor.status().device_busy_s == 0.0, "loading takes its time"
    monitor.state = settings_pb2.STAGE_STATE_READY
    assert monitor.status().device_busy_s > 0.0
    may_end.set()
    await running
    assert monitor.status().device_busy_s == 0.0
