"""A stage is lost in the middle of a request: another one answers, with the same bytes, and only once."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest

from bagel import wire
from bagel.rpc import CHANNEL_OPTIONS
from bagel.settings import SamplerSettings
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, settings_pb2, thinker_pb2, thinker_pb2_grpc
from tests.e2e.replicas import Replicas, running_replicas
from tests.e2e.server import picture, read_picture, read_text, scene, text, user

DRAW: dict[str, Any] = {
    "messages": user("A red circle"), "modalities": ["image"], "height": 192, "width": 192, "num_inference_steps": 100,
    "seed": 3,
}  # fmt: skip
EDIT: dict[str, Any] = {
    **DRAW, "messages": user(picture(scene(256, 256)), text("Make it blue")), "num_inference_steps": 50,
}  # fmt: skip
SAY: dict[str, Any] = {
    "messages": user(picture(scene(512, 512)), text("Sea")), "max_tokens": 1000, "seed": 5, "temperature": 1.0,
}  # fmt: skip
THINK: dict[str, Any] = {**DRAW, "num_inference_steps": 4, "think": True, "max_think_tokens": 1000}
HUNG_S = 15.0


@pytest.fixture(scope="module")
def shared_replicas() -> Iterator[Replicas]:
    with running_replicas() as replicas:
        yield replicas


@pytest.fixture
def replicas(shared_replicas: Replicas) -> Iterator[Replicas]:
    yield shared_replicas
    shared_replicas.wait_ready()
    shared_replicas.wait_idle()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def answer(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize("body", [DRAW, EDIT], ids=["text2img", "img2img"])
def test_a_dit_that_dies_is_replaced_and_the_picture_is_the_same(
    replicas: Replicas, pool: ThreadPoolExecutor, body: dict[str, Any]
) -> None:
    calm = read_picture(answer(replicas.post(body)))
    drawing = pool.submit(replicas.post, body)
    dit = replicas.working("dit")
    dit.send(signal.SIGKILL)
    assert read_picture(answer(drawing.result())) == calm
    replicas.bring_back(dit)


def test_a_dit_that_stands_still_is_replaced_in_time(replicas: Replicas, pool: ThreadPoolExecutor) -> None:
    calm = read_picture(answer(replicas.post(DRAW)))
    drawing = pool.submit(replicas.post, DRAW)
    dit = replicas.working("dit")
    dit.send(signal.SIGSTOP)
    stopped = time.monotonic()
    replicas.wait_ready(3)
    assert time.monotonic() - stopped < HUNG_S
    assert read_picture(answer(drawing.result())) == calm
    dit.send(signal.SIGCONT)


def test_a_thinker_that_dies_with_a_thought_is_replaced(replicas: Replicas, pool: ThreadPoolExecutor) -> None:
    calm = read_picture_of_thought(answer(replicas.post(THINK)))
    thinking = pool.submit(replicas.post, THINK)
    thinker = replicas.working("thinker")
    thinker.send(signal.SIGKILL)
    assert read_picture_of_thought(answer(thinking.result())) == calm
    replicas.bring_back(thinker)


def test_a_stream_goes_on_where_its_thinker_died(replicas: Replicas) -> None:
    calm = read_text(answer(replicas.post(SAY)))
    pieces = []
    with replicas.http.stream("POST", "/v1/chat/completions", json={**SAY, "stream": True}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                pieces.append(json.loads(line[6:])["choices"][0]["delta"].get("content") or "")
                if len(pieces) == 20:
                    thinker = replicas.working("thinker")
                    thinker.send(signal.SIGKILL)
    assert "".join(pieces) == calm
    assert 'bagel_tries_again_total{stage="thinker"}' in replicas.http.get("/metrics").text
    replicas.bring_back(thinker)


def test_a_thinker_that_dies_after_its_pages_were_read_changes_nothing(
    replicas: Replicas, pool: ThreadPoolExecutor
) -> None:
    calm = read_picture(answer(replicas.post(DRAW)))
    drawing: Future[httpx.Response] = pool.submit(replicas.post, DRAW)
    replicas.working("dit")
    thinker = next(stage for stage in replicas.thinkers if stage.status().leases)
    thinker.send(signal.SIGKILL)
    assert read_picture(answer(drawing.result())) == calm
    replicas.bring_back(thinker)


def test_a_handle_of_an_earlier_life_is_refused(replicas: Replicas) -> None:
    thinker, dit = replicas.thinkers[0], replicas.dits[0]
    with (
        grpc.insecure_channel(thinker.address, options=CHANNEL_OPTIONS) as holder,
        grpc.insecure_channel(dit.address, options=CHANNEL_OPTIONS) as reader,
    ):
        request = thinker_pb2.PrepareContextRequest(
            request=kv_pb2.RequestId(id="early", attempt=1),
            segments=[settings_pb2.Segment(text=settings_pb2.TextSegment(text="A red circle"))],
            size=settings_pb2.ImageSize(height=64, width=64),
        )
        lease = thinker_pb2_grpc.ThinkerStub(holder).PrepareContext(request, timeout=30)
        handle = next(event.handle for event in lease if event.WhichOneof("event") == "handle")
        thinker.send(signal.SIGKILL)
        replicas.bring_back(thinker)
        wanted = dit_pb2.GenerateRequest(
            request=request.request, handle=handle, sampler=wire.sampler_to_proto(SamplerSettings(num_timesteps=4)),
        )  # fmt: skip
        with pytest.raises(grpc.RpcError) as refused:
            list(dit_pb2_grpc.DitStub(reader).Generate(wanted, timeout=30))
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert "the handle is of epoch" in refused.value.details()


def test_new_requests_go_to_whoever_is_there(replicas: Replicas, pool: ThreadPoolExecutor) -> None:
    """Four at once, on both; those of the one that leaves in order are finished by it."""
    body = {**DRAW, "num_inference_steps": 50}
    calm = read_picture(answer(replicas.post(body)))
    drawings = [pool.submit(replicas.post, body) for _ in range(4)]
    replicas.working("dit")
    leaving = replicas.dits[0]
    leaving.send(signal.SIGTERM)
    assert {read_picture(answer(drawing.result())) for drawing in drawings} == {calm}
    assert leaving.process is not None
    assert leaving.process.wait_exit() == 0
    replicas.bring_back(leaving)


def test_a_lone_stage_that_died_is_named_within_two_seconds(pool: ThreadPoolExecutor) -> None:
    with running_replicas(thinkers=1, dits=1, dit_module="tests.entry.hanging_dit", gateway=("--hang-s", "1")) as alone:
        # First a device that hangs while its process answers.
        started = time.monotonic()
        response = alone.post({**DRAW, "seed": 666})
        assert response.status_code == 503
        assert "its device has been on one piece of work" in response.text
        assert time.monotonic() - started < HUNG_S
        alone.dits[0].send(signal.SIGKILL)
        started = time.monotonic()
        response = alone.post(DRAW)
        assert response.status_code == 503
        assert f"no DiT is ready ({alone.dits[0].address}" in response.text
        assert time.monotonic() - started < 2


def read_picture_of_thought(body: dict[str, Any]) -> tuple[str, bytes]:
    return read_text(body), read_picture(body)
