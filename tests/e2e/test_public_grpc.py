"""The tasks over gRPC, through the Python client: same bytes as over REST, same refusals, nothing left behind."""

import base64
import io
import threading
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from bagel.client import BagelClient, Said, ServerError
from bagel.errors import RequestError
from bagel.v1 import bagel_pb2
from tests.e2e.server import Server, picture, read_picture, scene, text, user

SMALL = {"size": "64x96", "num_inference_steps": 4, "seed": 11}


@pytest.fixture
def client(server: Server) -> Iterator[BagelClient]:
    with BagelClient(server.grpc, deadline_s=120) as client:
        yield client


def test_a_generation_is_the_one_of_rest_with_its_progress_and_previews(server: Server, client: BagelClient) -> None:
    seen: list[bagel_pb2.TaskEvent] = []
    made = client.generate("a red cat", n=2, partial_images=1, watch=seen.append, **SMALL)
    body = {"prompt": "a red cat", "n": 2, **SMALL}
    answer = server.http.post("/v1/images/generations", json=body).json()
    assert [p.data for p in made.pictures] == [base64.b64decode(d["b64_json"]) for d in answer["data"]]
    assert [(p.width, p.height, p.seed) for p in made.pictures] == [(64, 96, 11), (64, 96, 12)]
    kinds = [event.WhichOneof("event") for event in seen]
    assert (kinds[0], kinds[-1]) == ("accepted", "finished")
    assert kinds.count("partial") == 2
    assert [(e.steps.picture, e.steps.done) for e in seen if e.WhichOneof("event") == "steps"][-1] == (1, 3)
    assert made.prompt_tokens == answer["usage"]["input_tokens"]
    assert made.timings_s["denoise"] > 0


def test_an_edit_and_a_picture_in_a_conversation_are_those_of_rest(server: Server, client: BagelClient) -> None:
    source = png(scene(96, 64))
    made = client.edit([source], "make it blue", num_inference_steps=4, seed=3, cfg_renorm_type="channel")
    settings = {"num_inference_steps": 4, "seed": 3, "cfg_renorm_type": "channel", "modalities": ["image"]}
    answer = server.answer(messages=user(picture(source), text("make it blue")), **settings)
    assert made.pictures[0].data == read_picture(answer)
    talk = [Said("user", ["a cat"]), Said("assistant", [source]), Said("user", ["now make it blue"])]
    drawn = client.chat(talk, picture=True, num_inference_steps=4, seed=3, output_format="jpeg")
    messages = [*user("a cat"), {"role": "assistant", "content": [picture(source)]}, *user("now make it blue")]
    again = server.answer(messages=messages, num_inference_steps=4, seed=3, output_format="jpeg", modalities=["image"])
    assert drawn.pictures[0].data == read_picture(again)


def test_a_mask_keeps_what_is_opaque(client: BagelClient) -> None:
    source = scene(192, 128)
    mask = source.convert("RGBA")
    mask.putalpha(Image.new("L", source.size, 255))
    mask.paste((0, 0, 0, 0), (96, 0, 192, 128))
    drawn = client.edit([png(source)], "a fox", mask=png(mask), num_inference_steps=3, seed=1).pictures[0]
    made = Image.open(io.BytesIO(drawn.data))
    assert made.size == source.size
    assert made.crop((0, 0, 90, 128)).tobytes() == source.crop((0, 0, 90, 128)).tobytes()
    assert made.crop((102, 0, 192, 128)).tobytes() != source.crop((102, 0, 192, 128)).tobytes()


def test_texts_are_written_and_streamed(client: BagelClient) -> None:
    pieces: list[str] = []

    def watch(event: bagel_pb2.TaskEvent) -> None:
        pieces.append(event.delta.text)

    asked = client.understand([png(scene(64, 64))], "What is this?", watch=watch, max_tokens=8)
    assert asked.text == "".join(pieces)
    assert (asked.completion_tokens, asked.finish_reason) == (8, "length")
    said = client.chat([Said("user", ["Hello"])], max_tokens=5)
    assert said.completion_tokens == 5


def test_refusals_name_their_field_and_what_was_not_done(client: BagelClient) -> None:
    cases = (
        (
            lambda: client.generate("cat", num_inference_steps=1),
            grpc.StatusCode.INVALID_ARGUMENT,
            "num_inference_steps",
        ),
        (lambda: client.generate("cat", size="63x64"), grpc.StatusCode.INVALID_ARGUMENT, "size"),
        (lambda: client.generate(""), grpc.StatusCode.INVALID_ARGUMENT, "prompt"),
        (lambda: client.edit([b"no picture"], "blue"), grpc.StatusCode.INVALID_ARGUMENT, "pictures[0]"),
        (lambda: client.edit([], "blue"), grpc.StatusCode.INVALID_ARGUMENT, "pictures"),
        (lambda: client.chat([Said("user", [])]), grpc.StatusCode.INVALID_ARGUMENT, "messages"),
        (lambda: client.chat([Said("user", ["a"])], picture=True, n=2), grpc.StatusCode.INVALID_ARGUMENT, "n"),
        (lambda: client.cancel("nobody"), grpc.StatusCode.NOT_FOUND, None),
    )
    for call, code, param in cases:
        with pytest.raises(ServerError) as refused:
            call()
        assert (refused.value.code, refused.value.param) == (code, param), refused.value
    with pytest.raises(RequestError, match="no such setting"):
        client.understand([], "why?", seeds=3)


def test_a_call_is_stopped_by_another_and_by_its_own_deadline(server: Server, client: BagelClient) -> None:
    accepted: list[str] = []
    drawing = threading.Event()

    def watch(event: bagel_pb2.TaskEvent) -> None:
        if event.WhichOneof("event") == "accepted":
            accepted.append(event.accepted.request_id)
        if event.WhichOneof("event") == "steps":
            drawing.set()

    errors: list[ServerError] = []

    def draw() -> None:
        try:
            client.generate("a cat", size="256x256", num_inference_steps=1000, watch=watch)
        except ServerError as error:
            errors.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    assert drawing.wait(60)
    client.cancel(accepted[0])
    thread.join(30)
    assert [error.code for error in errors] == [grpc.StatusCode.CANCELLED]
    server.wait_idle()
    with BagelClient(server.grpc, deadline_s=1.0) as hasty, pytest.raises(ServerError) as late:
        hasty.generate("a cat", size="256x256", num_inference_steps=1000)
    assert late.value.code == grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_model_and_the_health_are_told(server: Server, client: BagelClient) -> None:
    assert client.model().name == server.http.get("/v1/models").json()["data"][0]["id"]
    with grpc.insecure_channel(server.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        found = stub.Check(health_pb2.HealthCheckRequest(service="bagel.v1.Bagel"), timeout=5)
        assert found.status == health_pb2.HealthCheckResponse.SERVING


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()
