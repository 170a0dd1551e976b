"""The line with a clock: places are given back in time, whatever becomes of those who had them."""

import time
from collections.abc import AsyncGenerator

import pytest

from bagel.errors import DeadlineError
from bagel.settings import ModelLimits
from bagel.v1 import settings_pb2
from services.gateway.calls import Call
from services.gateway.gate import Gate
from services.gateway.happenings import Admitted, Happening, TextDelta, Waiting
from services.gateway.schemas import parse_chat_request
from services.gateway.stages import Stage, Stages
from services.gateway.tasks import make_task

LIMITS = ModelLimits(token_pixels=16, max_side_px=1024, default_side_px=1024, max_context_tokens=32768)
TASK = make_task(parse_chat_request({"messages": [{"role": "user", "content": "Hi"}]}), [], LIMITS)
SOON_S, LATER_S = 0.1, 20.0


def ready_stages() -> Stages:
    """A Thinker that was heard of once and is never called."""
    thinker = Stage.at("thinker", "127.0.0.1:1")
    thinker.status = settings_pb2.StageStatus(
        state=settings_pb2.STAGE_STATE_READY,
        model=settings_pb2.ModelInfo(
            token_pixels=LIMITS.token_pixels, max_side_px=LIMITS.max_side_px, default_side_px=LIMITS.default_side_px,
            max_context_tokens=LIMITS.max_context_tokens,
        ),
    )  # fmt: skip
    thinker.model = thinker.status.model
    return Stages(thinkers=[thinker])


async def words() -> AsyncGenerator[Happening, None]:
    for _ in range(3):
        yield TextDelta("word")


def call(name: str, timeout_s: float) -> Call:
    return Call(name, time.monotonic() + timeout_s)


async def test_a_place_is_given_back_at_the_deadline_though_its_reader_stands_still() -> None:
    stages = ready_stages()
    gate = Gate(stages, max_queue=4, max_running=1)
    still = gate.admitted(TASK, call("still", SOON_S), words())
    assert await anext(still) == TextDelta("word")
    line = gate.admitted(TASK, call("next", LATER_S), words())
    assert await anext(line) == Waiting(0, None)
    assert isinstance(await anext(line), Admitted)
    assert gate.lines["text"].running == 1
    # What comes late changes nothing.
    await still.aclose()
    assert [what async for what in line] == [TextDelta("word")] * 3
    assert (gate.lines["text"].running, gate.lines["text"].waiting) == (0, 0)
    await stages.close()


async def test_who_waits_longer_than_the_deadline_and_reads_again_is_told_so() -> None:
    stages = ready_stages()
    gate = Gate(stages, max_queue=4, max_running=1)
    running = gate.admitted(TASK, call("running", LATER_S), words())
    await anext(running)
    late = gate.admitted(TASK, call("late", SOON_S), words())
    assert isinstance(await anext(late), Waiting)
    behind = gate.admitted(TASK, call("behind", 2 * SOON_S), words())
    assert await anext(behind) == Waiting(1, None)
    for each in (behind, late):
        with pytest.raises(DeadlineError):
            await anext(each)
        assert gate.lines["text"].waiting == 0
    await running.aclose()
    assert gate.lines["text"].running == 0
    await stages.close()
