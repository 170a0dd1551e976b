"""Who may cancel what; and work that nobody waits for is over before anything else goes on."""

import asyncio
from collections.abc import AsyncGenerator

import anyio
import pytest
from fastapi import Request
from starlette.types import Message

from services.gateway.calls import Call
from services.gateway.config import GatewayConfig
from services.gateway.errors import ApiError
from services.gateway.happenings import Happening, TextDelta
from services.gateway.request_ids import known_id, new_request_id
from services.gateway.serving import Running, Serving
from services.gateway.stages import Stages

WORD = TextDelta("word")


def call(sent: str = "", caller: str = "") -> Call:
    return Call(new_request_id(sent), 0.0, caller=caller, sent_id=known_id(sent))


async def test_an_id_is_the_whole_one_or_the_one_that_was_sent() -> None:
    running = Running()
    with running.tracked(call()) as nameless, running.tracked(call("mine-1")) as mine:
        assert not running.cancel("req", "")
        assert not running.cancel("mine", "")
        assert running.cancel("mine-1", "")
        assert (nameless.is_set(), mine.is_set()) == (False, True)
    nameless_call = call()
    with running.tracked(nameless_call) as nameless:
        assert running.cancel(nameless_call.request_id, "")
        assert nameless.is_set()
    assert not running.cancel("mine-1", "")


async def test_another_callers_request_is_none_of_ours() -> None:
    running, of_ann, of_bob = Running(), call("same", "ann"), call("same", "bob")
    with running.tracked(of_ann) as ann, running.tracked(of_bob) as bob:
        assert not running.cancel(of_ann.request_id, "bob")
        assert not running.cancel("same", "")
        assert running.cancel("same", "bob")
        assert (ann.is_set(), bob.is_set()) == (False, True)


@pytest.mark.parametrize(("sent", "known"), [("a.b_c-1", "a.b_c-1"), ("", None), ("a b", None), ("x" * 120, "x" * 100)])
def test_only_what_is_an_id_is_known_as_one(sent: str, known: str | None) -> None:
    assert known_id(sent) == known
    assert new_request_id(sent).startswith(f"{known or 'req'}-")


class Slow:
    """Work that takes a few turns of the loop to end once it was cancelled."""

    def __init__(self) -> None:
        self.began, self.over = asyncio.Event(), False

    async def work(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.over = True

    async def happening(self) -> AsyncGenerator[Happening, None]:
        await self.work()
        yield WORD


async def test_a_reader_that_leaves_a_stream_in_the_line_ends_it_in_silence() -> None:
    serving, slow, seen = Serving(Stages(), GatewayConfig()), Slow(), []

    async def read() -> None:
        async for what in serving.until_cancelled(call(), WORD, slow.happening()):
            seen.append(what)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await slow.began.wait()
        # As Starlette does: every turn of the loop anew.
        group.cancel_scope.cancel()
    assert (seen, slow.over) == ([WORD], True)


async def test_a_stream_that_another_call_cancels_says_so() -> None:
    serving, slow, own = Serving(Stages(), GatewayConfig()), Slow(), call("mine")
    stream = serving.until_cancelled(own, WORD, slow.happening())
    assert await anext(stream) == WORD
    coming = asyncio.ensure_future(anext(stream))
    await slow.began.wait()
    assert serving.running.cancel("mine", "")
    with pytest.raises(ApiError, match="cancelled by another call"):
        await coming
    assert slow.over


async def test_work_is_over_before_its_handler_is_though_cancelled_twice() -> None:
    serving, slow = Serving(Stages(), GatewayConfig()), Slow()

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    handling = asyncio.create_task(serving.until_disconnect(Request({"type": "http"}, never), call(), slow.work()))
    await slow.began.wait()
    for _ in range(2):
        handling.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert slow.over
