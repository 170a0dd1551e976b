"""Thinker and DiT in one process: the same pictures over one set of weights, and neither keeps the other waiting."""

import asyncio

import pytest

from bagel import wire
from bagel.errors import ConfigError
from bagel.settings import SamplerSettings
from bagel.v1 import dit_pb2, settings_pb2
from tests.polling import BREATH_S
from tests.services.stages import (
    TIMEOUT_S,
    Stage,
    context_request,
    draw,
    drawn,
    picture_bytes,
    running_dit,
    running_single,
    running_thinker,
    text_request,
)
from transport.configs import ZeroMqConfig
from transport.memory import MemoryHub

REQUESTS = {
    "text2img": context_request("A red circle", name="text2img"),
    "text2img think": context_request("A red circle", name="think", think=True),
    "img2img": context_request("Redder", picture_bytes(), name="img2img"),
    "img2img think": context_request("Redder", picture_bytes(), name="edit-think", think=True),
}
TEXTS = {
    "text2text": text_request("What is it?", name="text2text"),
    "img2text": text_request("What is it?", picture_bytes(), name="img2text"),
}


async def answers(thinker: Stage, dit: Stage) -> dict[str, object]:
    pictures = {name: drawn(await draw(thinker.thinker, dit.dit, sent)) for name, sent in REQUESTS.items()}
    return pictures | {name: (await thinker.write(sent)).text for name, sent in TEXTS.items()}


async def test_every_task_gets_the_bytes_that_two_processes_give() -> None:
    hub = MemoryHub()
    async with running_thinker(hub) as thinker, running_dit(hub) as dit:
        apart = await answers(thinker, dit)
    async with running_single() as single:
        assert await answers(single, single) == apart
        assert len(set(apart.values())) == len(apart), "no two of them are alike"


async def test_the_pages_are_looked_at_where_they_lie_and_nothing_is_left_afterwards() -> None:
    async with running_single() as single:
        events = await draw(single.thinker, single.dit, REQUESTS["img2img"])
        fetched = next(event.fetched for event in events if event.HasField("fetched"))
        assert (fetched.transport, fetched.bytes) == ("memory", 0)
        assert fetched.unique_bytes > 0
        while (status := await single.status()).leases:
            await asyncio.sleep(BREATH_S)
        assert status.free_pages == status.total_pages == 2048 // 16
        places = single.assembly.dit._servicer.loaded.engine.fetcher.landing.places
        assert places.num_places == 1, "no memory is set aside for pages that never come"


async def test_beside_other_processes_its_contexts_are_read_and_it_reads_theirs() -> None:
    sent, elsewhere = REQUESTS["text2img think"], MemoryHub()
    over = {"transport": "zeromq", "kv_inline_bytes": 0}
    reader = running_dit(elsewhere, ZeroMqConfig())
    async with running_single(**over) as single, running_single(**over) as other, reader as dit:
        events = [await draw(single.thinker, at.dit, sent) for at in (single, dit, other)]
    fetched = [next(event.fetched for event in said if event.HasField("fetched")) for said in events]
    assert [told.transport for told in fetched] == ["memory", "zeromq", "zeromq"]
    assert [told.bytes for told in fetched] == [0, fetched[0].unique_bytes, fetched[0].unique_bytes]
    assert len({drawn(said) for said in events}) == 1


async def test_both_stages_tell_how_they_are_over_one_address() -> None:
    async with running_single(tasks="text2text,text2img", max_model_len=512) as single:
        ask = settings_pb2.GetStatusRequest()
        statuses = [await stub.GetStatus(ask, timeout=TIMEOUT_S) for stub in (single.thinker, single.dit)]
        assert {status.state for status in statuses} == {settings_pb2.STAGE_STATE_READY}
        assert len({(status.epoch, status.model.model_hash) for status in statuses}) == 1
        assert [status.model.max_context_tokens for status in statuses] == [512, 512]
        assert [list(status.model.tasks) for status in statuses] == [["text2text", "text2img"], ["text2img"]]


async def test_the_figures_of_both_stand_on_one_page() -> None:
    async with running_single() as single:
        await draw(single.thinker, single.dit, REQUESTS["text2img"], steps=3)
        assert single.figure("bagel_dit_step_seconds_count") == 3
        assert single.figure("bagel_thinker_prefill_seconds_count", block="text") == 1
        assert single.figure("bagel_dit_requests_total", task="picture", outcome="ok") == 1
        assert single.figure("bagel_thinker_used_pages") >= 0


async def test_one_set_of_weights_serves_both() -> None:
    async with running_single() as single:
        thinker = single.assembly.thinker._servicer.loaded.engine.runner.model
        dit = single.assembly.dit._servicer.loaded.engine.denoiser.model
        shared = {id(parameter) for parameter in thinker.parameters()} & {id(p) for p in dit.parameters()}
        assert {id(parameter) for parameter in thinker.mot.layers.parameters()} < shared
        places = [
            p.untyped_storage().data_ptr()
            for p in {id(p): p for p in (*thinker.parameters(), *dit.parameters())}.values()
        ]
        assert len(set(places)) == len(places)


async def test_a_text_ends_while_a_picture_runs_and_the_picture_goes_on_meanwhile() -> None:
    async with running_single() as single:
        lease = single.thinker.PrepareContext(REQUESTS["text2img"], timeout=TIMEOUT_S)
        handle = await anext(event.handle async for event in lease if event.HasField("handle"))
        sampler = wire.sampler_to_proto(SamplerSettings(num_timesteps=201))
        wanted = dit_pb2.GenerateRequest(request=REQUESTS["text2img"].request, handle=handle, sampler=sampler, seed=5)
        drawing = single.dit.Generate(wanted, timeout=TIMEOUT_S)
        await anext(event async for event in drawing if event.HasField("step"))
        before = single.figure("bagel_dit_step_seconds_count")
        done = await single.write(text_request("Tell me", name="beside", max_tokens=30))
        steps = single.figure("bagel_dit_step_seconds_count") - before

        assert before + steps < 200, "the picture is not there yet"
        # They take turns: between two of the 30 tokens there is a step, but for those at the edges.
        assert done.work.decode_steps == 30
        assert steps >= 25
        assert [event async for event in drawing if event.HasField("picture")]
        lease.cancel()


async def test_a_process_without_a_picture_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="--tasks text2text: none ends in a picture"):
        async with running_single(tasks="text2text"):
            pass
