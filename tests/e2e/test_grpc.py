"""The stages' own gRPC surface: what another service sees that calls them without a gateway."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image

from bagel import wire
from bagel.contexts import Role
from bagel.rpc import error_param, error_pushback_s, open_channel
from bagel.settings import DecodeSettings, SamplerSettings
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, kv_pb2_grpc, settings_pb2, thinker_pb2, thinker_pb2_grpc
from tests.polling import BREATH_S
from tests.processes import running_stage

MODEL = ("--model", "tests/golden/checkpoint", "--kv-pool-tokens", "2048")
SIZE = settings_pb2.ImageSize(height=64, width=80)


@dataclass(frozen=True)
class Stages:
    """Addresses of a Thinker, its admin port, and a DiT."""

    thinker: str
    admin: str
    dit: str


@pytest.fixture(scope="module")
def stages() -> Iterator[Stages]:
    thinker = running_stage("services.thinker", *MODEL, "--admin-bind", "127.0.0.1:0", "--max-queue", "2")
    with thinker as (process, address), running_stage("services.dit", *MODEL) as (_, dit):
        admin = next(line for line in process.lines if '"admin_listening"' in line)
        yield Stages(address, admin.split('"address": "')[1].split('"')[0], dit)


def request_id(name: str) -> kv_pb2.RequestId:
    return kv_pb2.RequestId(id=name, attempt=1)


def context_request(name: str, *roles: Role) -> thinker_pb2.PrepareContextRequest:
    request = thinker_pb2.PrepareContextRequest(request=request_id(name), roles=wire.roles_to_proto(roles), size=SIZE)
    request.segments.add().text.text = "A red circle"
    return request


def picture_request(name: str, handle: kv_pb2.KvHandle, points: int = 4) -> dit_pb2.GenerateRequest:
    sampler = wire.sampler_to_proto(SamplerSettings(num_timesteps=points))
    return dit_pb2.GenerateRequest(request=request_id(name), handle=handle, sampler=sampler, seed=11)


@asynccontextmanager
async def leased(stages: Stages, request: thinker_pb2.PrepareContextRequest) -> AsyncIterator[kv_pb2.KvHandle]:
    """A context that is ready, for the time of a block."""
    async with open_channel(stages.thinker) as channel:
        call = thinker_pb2_grpc.ThinkerStub(channel).PrepareContext(request, timeout=60)
        handle = kv_pb2.KvHandle()
        async for event in call:
            if event.HasField("handle"):
                handle = event.handle
            if event.HasField("prepared"):
                break
        try:
            yield handle
        finally:
            call.cancel()


async def pictures(stages: Stages, request: dit_pb2.GenerateRequest) -> list[dit_pb2.Picture]:
    async with open_channel(stages.dit) as channel:
        events = [event async for event in dit_pb2_grpc.DitStub(channel).Generate(request, timeout=60)]
    assert events[-1].HasField("done")
    return [event.picture for event in events if event.HasField("picture")]


async def wait_free(stages: Stages) -> None:
    """Every page is free, nothing is leased."""
    for stub, address in ((thinker_pb2_grpc.ThinkerStub, stages.thinker), (dit_pb2_grpc.DitStub, stages.dit)):
        async with open_channel(address) as channel, asyncio.timeout(20):
            while True:
                status = await stub(channel).GetStatus(settings_pb2.GetStatusRequest(), timeout=5)
                if status.free_pages == status.total_pages and not (status.leases or status.grants or status.running):
                    break
                await asyncio.sleep(BREATH_S)


@pytest.fixture(autouse=True)
async def everything_comes_back(stages: Stages) -> AsyncIterator[None]:
    yield
    await wait_free(stages)


async def status_of(call: AsyncIterator[object]) -> grpc.aio.AioRpcError:
    """The status that a stream ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return caught.value


async def test_health_is_served_on_the_main_port_and_reflection_on_the_admin_port_alone(stages: Stages) -> None:
    for address, service in ((stages.thinker, "bagel.v1.Thinker"), (stages.dit, "bagel.v1.Dit")):
        async with open_channel(address) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=5
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    async with open_channel(stages.admin) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answers = [answer async for answer in stub.ServerReflectionInfo(iter([ask]), timeout=5)]
        names = {service.name for service in answers[0].list_services_response.service}
        assert {"bagel.v1.Thinker", "bagel.v1.KvSource"} <= names
    async with open_channel(stages.thinker) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]), timeout=5)
        assert (await status_of(call)).code() == grpc.StatusCode.UNIMPLEMENTED


async def test_several_pictures_of_one_context_equal_those_made_alone(stages: Stages) -> None:
    async with leased(stages, context_request("several", Role.CFG_TEXT, Role.CFG_IMG)) as handle:
        many = picture_request("several", handle)
        many.n = 3
        together = await pictures(stages, many)
        assert [picture.seed for picture in together] == [11, 12, 13]
        for index, expected in enumerate(together):
            one = picture_request(f"alone-{index}", handle)
            one.seed = 11 + index
            assert (await pictures(stages, one))[0].data == expected.data


async def test_a_handle_can_be_read_again_and_by_two_at_once(stages: Stages) -> None:
    async with leased(stages, context_request("twice", Role.CFG_TEXT, Role.CFG_IMG)) as handle:
        both = await asyncio.gather(*(pictures(stages, picture_request(f"twice-{i}", handle)) for i in range(2)))
        assert both[0][0].data == both[1][0].data
        size = Image.open(io.BytesIO(both[0][0].data)).size
        assert size == (SIZE.width, SIZE.height)


async def test_a_missing_branch_is_an_error_and_never_a_worse_picture(stages: Stages) -> None:
    async with leased(stages, context_request("missing")) as handle, open_channel(stages.dit) as channel:
        call = dit_pb2_grpc.DitStub(channel).Generate(picture_request("missing", handle), timeout=30)
        error = await status_of(call)
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "cfg_text" in (error.details() or "")


async def test_a_handle_whose_lease_is_over_is_refused(stages: Stages) -> None:
    async with leased(stages, context_request("over", Role.CFG_TEXT, Role.CFG_IMG)) as handle:
        pass
    await wait_free(stages)
    async with open_channel(stages.dit) as channel:
        error = await status_of(dit_pb2_grpc.DitStub(channel).Generate(picture_request("over", handle), timeout=30))
    assert error.code() == grpc.StatusCode.ABORTED


async def test_reads_need_the_right_token_epoch_and_attempt(stages: Stages) -> None:
    async with leased(stages, context_request("guarded")) as handle, open_channel(stages.thinker) as channel:
        good = kv_pb2.ReadRequest(
            handle_id=handle.handle_id, epoch=handle.epoch, request=handle.request, read_token=handle.read_token
        )
        for change, code in (
            ({"read_token": b"x" * 16}, grpc.StatusCode.PERMISSION_DENIED),
            ({"epoch": handle.epoch - 1}, grpc.StatusCode.FAILED_PRECONDITION),
            ({"request": kv_pb2.RequestId(id="guarded", attempt=2)}, grpc.StatusCode.FAILED_PRECONDITION),
            ({"handle_id": "kv-0-0"}, grpc.StatusCode.NOT_FOUND),
        ):
            bad = kv_pb2.ReadRequest()
            bad.CopyFrom(good)
            bad.MergeFrom(kv_pb2.ReadRequest(**change))  # type: ignore[arg-type]
            assert (await status_of(kv_pb2_grpc.KvSourceStub(channel).Read(bad, timeout=5))).code() == code


async def test_a_cancelled_call_stops_the_dit_within_a_step(stages: Stages) -> None:
    request = context_request("cancelled", Role.CFG_TEXT, Role.CFG_IMG)
    async with leased(stages, request) as handle, open_channel(stages.dit) as channel:
        call = dit_pb2_grpc.DitStub(channel).Generate(picture_request("cancelled", handle, points=1000), timeout=60)
        async for event in call:
            if event.HasField("step"):
                break
        call.cancel()
        async with asyncio.timeout(5):
            while (await dit_pb2_grpc.DitStub(channel).GetStatus(settings_pb2.GetStatusRequest())).running:
                await asyncio.sleep(BREATH_S)


async def test_an_id_may_be_used_again_right_after_its_request_was_cancelled(stages: Stages) -> None:
    request = context_request("again", Role.CFG_TEXT, Role.CFG_IMG)
    async with leased(stages, request) as handle, open_channel(stages.dit) as channel:
        expected = (await pictures(stages, picture_request("first", handle)))[0].data
        for _ in range(5):
            call = dit_pb2_grpc.DitStub(channel).Generate(picture_request("again", handle, points=1000), timeout=60)
            async for event in call:
                if event.HasField("step"):
                    break
            call.cancel()
            async with asyncio.timeout(10):
                # Until the cancellation has arrived the id is taken, and says so.
                while True:
                    try:
                        again = await pictures(stages, picture_request("again", handle))
                        break
                    except grpc.aio.AioRpcError as error:
                        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017
            assert again[0].data == expected


async def test_a_passed_deadline_ends_a_call_of_either_stage(stages: Stages) -> None:
    request = context_request("late", Role.CFG_TEXT, Role.CFG_IMG)
    async with leased(stages, request) as handle, open_channel(stages.dit) as channel:
        call = dit_pb2_grpc.DitStub(channel).Generate(picture_request("late", handle, points=1000), timeout=0.3)
        assert (await status_of(call)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    async with open_channel(stages.thinker) as channel:
        call = thinker_pb2_grpc.ThinkerStub(channel).PrepareContext(context_request("lease"), timeout=0.5)
        assert (await status_of(call)).code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_bad_messages_name_their_field(stages: Stages) -> None:
    sampler = wire.sampler_to_proto(SamplerSettings())
    sampler.num_timesteps = 0
    async with open_channel(stages.thinker) as thinker, open_channel(stages.dit) as dit:
        text = thinker_pb2.GenerateTextRequest(request=request_id("bad"), decode=wire.decode_to_proto(DecodeSettings()))
        calls = (
            (thinker_pb2_grpc.ThinkerStub(thinker).GenerateText(text), "segments"),
            (thinker_pb2_grpc.ThinkerStub(thinker).PrepareContext(context_request("a b")), "request.id"),
            (
                dit_pb2_grpc.DitStub(dit).Generate(dit_pb2.GenerateRequest(request=request_id("bad"), sampler=sampler)),
                "num_inference_steps",
            ),
        )
        for call, param in calls:
            error = await status_of(call)
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert error_param(error) == param


async def test_previews_come_on_the_way_and_look_more_and_more_like_the_picture(stages: Stages) -> None:
    async with (
        leased(stages, context_request("previews", Role.CFG_TEXT, Role.CFG_IMG)) as handle,
        open_channel(stages.dit) as channel,
    ):
        request = picture_request("previews", handle, points=21)
        request.previews.count, request.previews.max_side_px = 3, 40
        events = [event async for event in dit_pb2_grpc.DitStub(channel).Generate(request, timeout=60)]
        request.previews.Clear()
        (plain,) = await pictures(stages, request)
    previews = [event.preview for event in events if event.HasField("preview")]
    (final,) = (event.picture for event in events if event.HasField("picture"))

    assert [preview.step for preview in previews] == [6, 12, 18]
    assert {(preview.size.height, preview.size.width) for preview in previews} == {(32, 40)}
    assert final.data == plain.data  # looking on the way changes nothing
    small = Image.open(io.BytesIO(final.data)).resize((40, 32), Image.Resampling.BICUBIC)
    errors = [_difference(Image.open(io.BytesIO(preview.data)), small) for preview in previews]
    assert errors[2] < errors[0]


def _difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference of two pictures of one size, of 255."""
    pairs = zip(a.tobytes(), b.tobytes(), strict=True)
    return sum(abs(x - y) for x, y in pairs) / len(a.tobytes())


async def test_too_many_previews_are_refused_by_name(stages: Stages) -> None:
    request = picture_request("previews", kv_pb2.KvHandle())
    request.previews.count = 4
    async with open_channel(stages.dit) as channel:
        error = await status_of(dit_pb2_grpc.DitStub(channel).Generate(request, timeout=5))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_param(error) == "previews.count"


async def test_a_full_queue_refuses_and_the_others_are_answered(stages: Stages) -> None:
    decode = wire.decode_to_proto(DecodeSettings(max_tokens=150))

    pushbacks_s: list[float | None] = []

    async def ask(index: int) -> grpc.StatusCode:
        request = thinker_pb2.GenerateTextRequest(request=request_id(f"crowd-{index}"), decode=decode)
        request.segments.add().text.text = "Tell me about a paper umbrella and then count to 3."
        async with open_channel(stages.thinker) as channel:
            try:
                events = [e async for e in thinker_pb2_grpc.ThinkerStub(channel).GenerateText(request, timeout=60)]
            except grpc.aio.AioRpcError as error:
                pushbacks_s.append(error_pushback_s(error))
                return error.code()
        assert events[-1].HasField("done")
        return grpc.StatusCode.OK

    codes = await asyncio.gather(*(ask(index) for index in range(12)))
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    # When to come again, in gRPC's own words.
    assert set(pushbacks_s) == {1.0}
