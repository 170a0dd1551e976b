"""Further tries: what is told twice is left out, what contradicts is an error, and there are only so many."""

import time

import pytest

from bagel.errors import DeadlineError
from services.gateway.calls import Call
from services.gateway.errors import ApiError
from services.gateway.failures import Remedy, StageFailure
from services.gateway.happenings import Drawn, Preview, Progress, TextDelta, TriedAgain
from services.gateway.stage import Stage
from services.gateway.tries import MAX_ATTEMPTS, Told, Tries


def failure(remedy: Remedy) -> StageFailure:
    error = ApiError(status=503, message="it was lost", type="server_error")
    return StageFailure(Stage.at("dit", "127.0.0.1:1"), remedy, error)


async def test_tries_end_with_what_the_last_stage_said() -> None:
    tries = Tries(Call("a", time.monotonic() + 10))
    told = [tries.again(failure(Remedy.ELSEWHERE)) for _ in range(MAX_ATTEMPTS - 1)]
    assert told == [TriedAgain("dit", 2), TriedAgain("dit", 3)]
    assert len(tries.failed) == 2
    with pytest.raises(ApiError, match="it was lost"):
        tries.again(failure(Remedy.ELSEWHERE))


async def test_what_no_try_mends_and_what_is_late_is_not_tried() -> None:
    with pytest.raises(ApiError, match="it was lost"):
        Tries(Call("a", time.monotonic() + 10)).again(failure(Remedy.NONE))
    with pytest.raises(DeadlineError):
        Tries(Call("a", time.monotonic())).again(failure(Remedy.ANEW))


def test_a_text_goes_on_where_it_was() -> None:
    told = Told()
    told.begin_text()
    assert [told.news(TextDelta(piece)) for piece in ("The ", "sea ")] == [TextDelta("The "), TextDelta("sea ")]
    told.begin_text()
    # Cut elsewhere than before: the first piece is known, the second partly.
    assert told.news(TextDelta("Th")) is None
    assert told.news(TextDelta("e sea is")) == TextDelta("is")
    assert told.news(TextDelta(" wide")) == TextDelta(" wide")


def test_another_text_is_an_error() -> None:
    told = Told()
    told.news(TextDelta("The sea"))
    told.begin_text()
    with pytest.raises(ApiError, match="goes on differently"):
        told.news(TextDelta("The land"))


def test_steps_previews_and_pictures_are_told_once() -> None:
    told = Told()
    picture = Drawn(0, b"", 1, 1, 5)
    events = [Progress(0, 1, 4), Preview(0, 0, b"", 1, 1), Progress(0, 2, 4), picture, Progress(1, 1, 4)]
    assert [told.news(event) for event in events] == events
    assert [told.news(event) for event in events] == [None] * len(events)
    assert told.news(Progress(0, 3, 4)) == Progress(0, 3, 4)
    assert told.news(Preview(0, 1, b"", 1, 1)) == Preview(0, 1, b"", 1, 1)
