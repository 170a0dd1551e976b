"""What a DiT's flags change, seen from outside: turns, lengths, tasks."""

import asyncio

import grpc
import pytest

from bagel.errors import ConfigError
from tests.polling import until
from tests.services.stages import Stage, context_request, draw, drawn, running_dit, running_thinker
from transport.memory import MemoryHub


async def pictures_in_order(thinker: Stage, dit: Stage) -> tuple[list[str], dict[str, bytes]]:
    """Two pictures, a long one that came first; the order in which they ended, and their files."""
    ended: list[str] = []
    files: dict[str, bytes] = {}

    async def make(name: str, steps: int) -> None:
        files[name] = drawn(await draw(thinker.thinker, dit.dit, context_request(name, name=name), steps=steps))
        ended.append(name)

    long = asyncio.create_task(make("long", 60))
    await until(lambda: dit.figure("bagel_dit_step_seconds_count"))
    await asyncio.gather(make("short", 2), long)
    return ended, files


async def test_max_num_seqs_lets_a_short_picture_pass_a_long_one_and_changes_neither() -> None:
    hub = MemoryHub()
    async with running_thinker(hub) as thinker, running_dit(hub) as one, running_dit(hub, max_num_seqs=2) as two:
        ended, alone = await pictures_in_order(thinker, one)
        assert ended == ["long", "short"]
        ended, beside = await pictures_in_order(thinker, two)
        assert ended == ["short", "long"]
        assert beside == alone


async def test_max_model_len_is_told_and_a_longer_context_is_refused() -> None:
    hub = MemoryHub()
    request = context_request("A text of quite some tokens, more than the DiT takes")
    async with running_thinker(hub) as thinker, running_dit(hub, max_model_len=10) as dit:
        assert (await dit.status()).model.max_context_tokens == 10
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await draw(thinker.thinker, dit.dit, request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "tokens, this DiT takes 10 (--max-model-len)" in (refused.value.details() or "")
        assert drawn(await draw(thinker.thinker, dit.dit, context_request("A cat", name="short")))


async def test_a_dit_names_the_tasks_that_it_draws_for() -> None:
    async with running_dit(MemoryHub(), tasks="text2text,text2img") as dit:
        assert list((await dit.status()).model.tasks) == ["text2img"]


async def test_a_dit_without_a_task_that_draws_does_not_start() -> None:
    with pytest.raises(ConfigError, match="--tasks text2text,img2text: none ends in a picture"):
        async with running_dit(MemoryHub(), tasks="text2text,img2text"):
            pass
