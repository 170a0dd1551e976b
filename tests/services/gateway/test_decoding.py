"""Strangers' pictures are decoded in processes that may be slow, greedy or dead; the pool is well afterwards."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bagel.errors import RequestError
from bagel.limits import DECODE_BYTES
from services.gateway.decoding import DecodingPool, PictureInfo
from tests.polling import TIMEOUT_S
from tests.services.gateway.bombs import BOMBS, png

PARAM = "messages[0].content[0].image_url.url"
COST_S = 0.005


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[DecodingPool]:
    made = DecodingPool(1)
    await made.start()
    yield made
    await made.close()


def children() -> list[int]:
    """Our decoders; other tests may have left servers running beside them."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in pids if b"decoding_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_picture_is_told_by_size_and_bands(pool: DecodingPool) -> None:
    found = await pool.check([(PARAM, png(40, 24)), (PARAM, png(8, 9, "LA"))])
    assert found == [PictureInfo(40, 24, ("R", "G", "B")), PictureInfo(8, 9, ("L", "A"))]


async def test_bombs_are_refused_by_name_and_the_pool_goes_on(pool: DecodingPool) -> None:
    for name, data in BOMBS.items():
        with pytest.raises(RequestError) as refused:
            await pool.check([(PARAM, data)])
        assert refused.value.param == PARAM, name
    assert await pool.check([(PARAM, png())])


async def test_pictures_are_bounded_together(pool: DecodingPool) -> None:
    large = png(4000, 4000, "L")
    with pytest.raises(RequestError, match="64000000 pixels together") as refused:
        await pool.check([(f"image[{index}]", large) for index in range(5)])
    assert refused.value.param == "image[4]"


async def test_a_small_picture_costs_a_few_milliseconds(pool: DecodingPool) -> None:
    data = png(200, 200)
    await pool.check([(PARAM, data)])
    took_s = COST_S
    async with asyncio.timeout(TIMEOUT_S):  # until one of them was not kept waiting by others of this machine
        while took_s >= COST_S:
            started = time.perf_counter()
            await pool.check([(PARAM, data)])
            took_s = time.perf_counter() - started


async def test_a_process_has_bounded_memory(pool: DecodingPool) -> None:
    await pool.check([(PARAM, png())])
    (pid,) = children()
    bounds = Path(f"/proc/{pid}/limits").read_text()
    most = int(next(line for line in bounds.splitlines() if line.startswith("Max address space")).split()[3])
    assert DECODE_BYTES.most < most < DECODE_BYTES.most + (1 << 30)


async def test_a_process_that_takes_too_long_is_ended_and_replaced() -> None:
    pool = DecodingPool(1, decode_s=1.0)
    await pool.start()
    assert await _warm(pool)
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RequestError, match="took over 1 s to decode"):
        await pool.check([(PARAM, png())])
    assert await _warm(pool)
    assert pid not in children()
    await pool.close()


async def test_a_process_that_was_killed_is_replaced(pool: DecodingPool) -> None:
    await pool.check([(PARAM, png())])
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)  # so that it dies with the picture in its hands
    asked = asyncio.create_task(pool.check([(PARAM, png())]))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RequestError, match="could not be decoded"):
        await asked
    assert await pool.check([(PARAM, png())])


async def test_a_process_that_died_while_nobody_used_it_costs_nobody_an_answer(pool: DecodingPool) -> None:
    await pool.check([(PARAM, png())])
    process = pool._workers[0]._process
    assert process is not None
    process.kill()
    process.wait(5)
    assert await pool.check([(PARAM, png())])


async def test_a_check_that_is_cancelled_leaves_no_answer_to_the_next(pool: DecodingPool) -> None:
    await pool.check([(PARAM, png())])
    large = asyncio.create_task(pool.check([(PARAM, png(4000, 4000))]))
    await asyncio.sleep(0)
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    assert await pool.check([(PARAM, png(5, 6))]) == [PictureInfo(5, 6, ("R", "G", "B"))]


async def _warm(pool: DecodingPool) -> bool:
    """Until a process that just started has answered."""
    while True:
        try:
            return bool(await pool.check([(PARAM, png())]))
        except RequestError:
            continue
