"""What a Thinker's flags change, seen from outside: weights, tasks, turns, pieces of a prefill, lengths."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from tests.services.stages import (
    Stage,
    context_request,
    draw,
    drawn,
    picture_bytes,
    running_dit,
    running_thinker,
    text_request,
)
from transport.memory import MemoryHub

NO_EDITS = "text2text,img2text,text2img"


async def refusal(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call:
            pass
    return refused.value


async def test_a_thinker_without_edits_holds_fewer_weights_and_does_the_rest_alike() -> None:
    hub = MemoryHub()
    request = context_request(think=True)
    request.negative_prompt = "blurry"
    seen = text_request("What is it?", picture_bytes())
    async with running_dit(hub) as dit, running_thinker(hub) as whole, running_thinker(hub, tasks=NO_EDITS) as small:
        assert small.num_bytes < 0.7 * whole.num_bytes
        assert (await small.write(seen)).text == (await whole.write(seen)).text != ""
        pictures = [drawn(await draw(thinker.thinker, dit.dit, request)) for thinker in (whole, small)]
        assert pictures[0] == pictures[1]
        assert list((await whole.status()).model.tasks) == ["text2text", "img2text", "text2img", "img2img"]
        assert list((await small.status()).model.tasks) == NO_EDITS.split(",")


async def test_a_task_that_the_thinker_was_started_without_is_refused_by_name() -> None:
    async with running_thinker(tasks="text2text,text2img") as stage:
        editing = stage.thinker.PrepareContext(context_request("Redder", picture_bytes()), timeout=10)
        seeing = stage.thinker.GenerateText(text_request("What is it?", picture_bytes()), timeout=10)
        for call, task in ((editing, "img2img"), (seeing, "img2text")):
            error = await refusal(call)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert f"this Thinker does text2text, text2img, not {task}" in (error.details() or "")
    async with running_thinker(tasks="text2text") as stage:
        assert (await stage.write(text_request())).text
        error = await refusal(stage.thinker.PrepareContext(context_request(), timeout=10))
        assert "this Thinker does text2text, not text2img" in (error.details() or "")


async def texts_in_order(stage: Stage) -> tuple[list[str], dict[str, str]]:
    """Two texts, a long one that came first; the order in which they ended, and what they say."""
    ended: list[str] = []
    texts: dict[str, str] = {}
    begun = asyncio.Event()

    async def write(name: str, tokens: int) -> None:
        async for event in stage.thinker.GenerateText(text_request(name, name=name, max_tokens=tokens), timeout=30):
            if event.HasField("delta"):
                begun.set()
            if event.HasField("done"):
                ended.append(name)
                texts[name] = event.done.text

    long = asyncio.create_task(write("long", 200))
    await asyncio.wait_for(begun.wait(), 30)
    await asyncio.gather(write("short", 4), long)
    return ended, texts


async def test_max_num_seqs_lets_a_short_text_pass_a_long_one_and_changes_neither() -> None:
    async with running_thinker(max_num_seqs=1) as one:
        ended, alone = await texts_in_order(one)
        assert ended == ["long", "short"]
    async with running_thinker(max_num_seqs=2) as two:
        ended, beside = await texts_in_order(two)
        assert ended == ["short", "long"]
        assert beside == alone


async def test_max_num_batched_tokens_cuts_a_long_text_but_no_picture() -> None:
    request = text_request("A text that is several tokens long, in one block", picture_bytes(), max_tokens=12)
    told = {}
    for tokens in (2048, 8):
        async with running_thinker(max_num_batched_tokens=tokens) as stage:
            done = await stage.write(request)
            pieces = [stage.figure("bagel_thinker_prefill_seconds_count", block=kind) for kind in ("text", "vit")]
            told[tokens] = done.text, done.work.blocks, done.work.prefill_tokens, pieces
    text, blocks, rows, pieces = told[2048]
    block = len_of_text(rows, pieces)
    assert (blocks, pieces) == (2, [1, 1])
    assert told[8] == (text, blocks, rows, [-(-block // 8), 1])


def len_of_text(rows: int, pieces: list[float]) -> int:
    """Rows of the request's text: 96 x 64 px are 7 x 5 patches after the resize, two markers around them."""
    return rows - (7 * 5 + 2)


async def test_max_model_len_is_told_and_what_is_longer_is_refused() -> None:
    async with running_thinker(max_model_len=40) as stage:
        assert (await stage.status()).model.max_context_tokens == 40
        tokens = (await stage.write(text_request(max_tokens=1))).work.prompt_tokens
        assert (await stage.write(text_request(max_tokens=40 - tokens))).text
        error = await refusal(stage.thinker.GenerateText(text_request(max_tokens=41 - tokens), timeout=10))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "the request needs up to 41 tokens of context, this server takes 40" in (error.details() or "")
        error = await refusal(stage.thinker.PrepareContext(context_request("Redder", picture_bytes()), timeout=10))
        assert "this server takes 40" in (error.details() or "")


async def test_a_share_of_gpu_memory_is_ignored_on_a_cpu_with_a_warning() -> None:
    with capture_logs() as logs:
        async with running_thinker(gpu_memory_utilization=0.5, kv_pool_tokens=1024) as stage:
            assert (await stage.status()).model.max_context_tokens == 1024
    assert "gpu_memory_utilization_ignored" in [log["event"] for log in logs if log["log_level"] == "warning"]


async def test_a_penalty_and_the_likeliest_tokens_act_on_what_is_written() -> None:
    async with running_thinker() as stage:
        greedy = (await stage.write(text_request(max_tokens=16))).text
        assert (await stage.write(text_request(max_tokens=16, temperature=2.0, top_k=1))).text == greedy
        # So little a penalty is a reward: what was said once is said again and again.
        assert (await stage.write(text_request(max_tokens=16, repetition_penalty=0.01))).text != greedy
        assert (await stage.write(text_request(max_tokens=16, temperature=2.0, seed=3))).text != greedy
