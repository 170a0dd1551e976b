"""Every limit of the table, broken at each door: the status that the table gives, and the field's name."""

import base64
import io
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from PIL import Image

from bagel import limits, wire
from bagel.limits import Limit
from bagel.rpc import CHANNEL_OPTIONS, PARAM_KEY
from bagel.settings import DecodeSettings, SamplerSettings
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, kv_pb2_grpc, thinker_pb2, thinker_pb2_grpc
from tests.e2e.server import Server, running_server, scene, text, user
from tests.e2e.test_bad_input import png_header

Json = dict[str, Any]
AnyLimit = Limit[int] | Limit[float]
CHAT, GENERATIONS, EDITS = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"
HELLO, SMALL = {"messages": user("Hello")}, {"prompt": "A cat", "size": "64x64", "num_inference_steps": 2}
# No request can break these; where what happens then is tested.
ELSEWHERE: dict[AnyLimit, str] = {
    limits.WAITING_BYTES: "tests/services/gateway/test_admission.py",
    limits.BODIES_BYTES: "tests/services/gateway/test_bodies.py",
    limits.BODY_S: "tests/services/gateway/test_bodies.py",
    limits.RETRY_AFTER_S: "tests/services/gateway/test_key_check.py",
    limits.CONNECTIONS: "tests/services/gateway/test_connections.py",
    limits.HEADER_S: "tests/services/gateway/test_connections.py",
    limits.UNREAD_S: "tests/services/gateway/test_connections.py",
    limits.DECODE_S: "tests/services/gateway/test_decoding.py",
    limits.DECODE_BYTES: "tests/services/gateway/test_decoding.py",
    limits.FETCHED_BYTES: "tests/services/gateway/test_fetching.py",
    limits.FETCH_S: "tests/services/gateway/test_fetching.py",
    limits.URL_CHARACTERS: "tests/services/gateway/test_fetching.py",
    limits.CALLS: "tests/services/gateway/test_door.py",
    limits.CHAT_PARTS: "tests/services/gateway/test_door_requests.py",
    limits.GRANTS: "tests/services/thinker/test_leases.py",
    limits.LINK_S: "tests/services/gateway/test_picture_links.py",
    limits.LINKED_BYTES: "tests/services/gateway/test_picture_links.py",
}


def large_png(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side)).save(out, format="PNG")
    return out.getvalue()


def small_png() -> bytes:
    return large_png(16)


def data_url(data: bytes) -> Json:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}


def chat(**fields: Any) -> Callable[[Server], httpx.Response]:
    return lambda server: server.http.post(CHAT, json=HELLO | fields)


def generate(**fields: Any) -> Callable[[Server], httpx.Response]:
    return lambda server: server.http.post(GENERATIONS, json=SMALL | fields)


def edit(count: int = 1, image: bytes | None = None, **fields: Any) -> Callable[[Server], httpx.Response]:
    files = [("image", ("a.png", image or small_png(), "image/png"))] * count
    form = {name: str(value) for name, value in (SMALL | fields).items()}
    return lambda server: server.http.post(EDITS, data=form, files=files)


def pictures(*images: bytes) -> Json:
    return {"messages": user(*map(data_url, images), text("What is it?"))}


def too_many_characters(server: Server) -> httpx.Response:
    tokens = server.http.get("/v1/models").json()["data"][0]["limits"]["max_context_tokens"]
    return chat(messages=user("x" * (limits.CHARACTERS_A_TOKEN.most * tokens + 1)))(server)


# Requests that break a limit, and the field that is named.
BROKEN: list[tuple[AnyLimit, Callable[[Server], httpx.Response], str | None]] = [
    (limits.BODY_BYTES, lambda s: s.http.post(CHAT, content=bytes(limits.BODY_BYTES.most + 1)), None),
    (limits.JSON_PARTS, lambda s: s.http.post(CHAT, content=b"[" + b"{}," * limits.JSON_PARTS.most + b"{}]"), None),
    (limits.HEADER_BYTES, lambda s: s.http.get("/livez", headers={"x-long": "x" * limits.HEADER_BYTES.most}), None),
    (limits.FORM_FIELDS, edit(**{f"field{i}": "x" for i in range(limits.FORM_FIELDS.most)}), None),
    (limits.FORM_FIELD_BYTES, edit(prompt="x" * (limits.FORM_FIELD_BYTES.most + 1)), None),
    (limits.TIMEOUT_S, chat(timeout_s=limits.TIMEOUT_S.most + 1), "timeout_s"),
    (limits.TIMEOUT_S, chat(timeout_s=0), "timeout_s"),
    (limits.TIMEOUT_S, generate(timeout_s=limits.TIMEOUT_S.most + 1), "timeout_s"),
    (limits.PICTURES_SENT, chat(**pictures(*[small_png()] * 65)), "messages"),
    (limits.PICTURES_SENT, edit(count=65), "image"),
    (limits.PICTURE_PIXELS, chat(**pictures(png_header(30_000, 30_000))), "messages[0].content[0].image_url.url"),
    (limits.PICTURE_PIXELS, edit(image=png_header(30_000, 30_000)), "image[0]"),
    (limits.REQUEST_PIXELS, chat(**pictures(*[large_png(4000)] * 5)), "messages[0].content[4].image_url.url"),
    (limits.REQUEST_PIXELS, edit(count=5, image=large_png(4000)), "image[4]"),
    (limits.PROMPT_CHARACTERS, generate(prompt="x" * (limits.PROMPT_CHARACTERS.most + 1)), "prompt"),
    (limits.PROMPT_CHARACTERS, edit(prompt="x" * (limits.PROMPT_CHARACTERS.most + 1)), "prompt"),
    (limits.PROMPT_CHARACTERS, generate(prompt=""), "prompt"),
    (limits.NEGATIVE_PROMPT_CHARACTERS, chat(negative_prompt="x" * 32_001), "negative_prompt"),
    (limits.NEGATIVE_PROMPT_CHARACTERS, generate(negative_prompt="x" * 32_001), "negative_prompt"),
    (limits.CHARACTERS_A_TOKEN, too_many_characters, "messages"),
    (limits.SEED, generate(seed=limits.SEED.most, n=2), "seed"),
    (limits.INTERVAL, chat(cfg_interval=[-0.1, 1]), "cfg_interval"),
    (limits.INTERVAL, generate(cfg_interval=[0.5, 1.1]), "cfg_interval"),
    (limits.INTERVAL, edit(cfg_interval="0.9,0.1"), "cfg_interval"),
]
for limit, fields in {
    limits.PICTURES_MADE: ("n",), limits.TIMESTEPS: ("num_inference_steps",), limits.SEED: ("seed",),
    limits.TIMESTEP_SHIFT: ("timestep_shift",), limits.TEXT_SCALE: ("cfg_text_scale", "guidance_scale"),
    limits.IMAGE_SCALE: ("cfg_img_scale",), limits.RENORM_MIN: ("cfg_renorm_min",),
    limits.COMPRESSION: ("output_compression",), limits.PREVIEWS: ("partial_images",),
    limits.NEW_TOKENS: ("max_think_tokens",),
}.items():  # fmt: skip
    assert limit.least is not None
    BROKEN += [
        (limit, send(**{field: value}), field)
        for field in fields
        for value in (limit.least - 1, limit.most + 1)
        for send in (generate, edit)
    ]
for limit, fields in {
    limits.NEW_TOKENS: ("max_tokens", "max_completion_tokens", "max_think_tokens"),
    limits.TEMPERATURE: ("temperature",), limits.TOP_P: ("top_p",), limits.TIMESTEPS: ("num_inference_steps",),
    limits.TOP_K: ("top_k",), limits.REPETITION_PENALTY: ("repetition_penalty",),
    limits.TEXT_SCALE: ("cfg_text_scale",), limits.IMAGE_SCALE: ("cfg_img_scale",), limits.SEED: ("seed",),
    limits.RENORM_MIN: ("cfg_renorm_min",), limits.TIMESTEP_SHIFT: ("timestep_shift",),
}.items():  # fmt: skip
    assert limit.least is not None
    BROKEN += [(limit, chat(**{field: v}), field) for field in fields for v in (limit.least - 1, limit.most + 1)]


@pytest.mark.parametrize(
    ("limit", "send", "param"), BROKEN, ids=[f"{i} {limit.what}" for i, (limit, _, _) in enumerate(BROKEN)]
)
def test_what_is_beyond_a_limit_gets_the_documented_status_over_http(
    server: Server, limit: AnyLimit, send: Callable[[Server], httpx.Response], param: str | None
) -> None:
    response = send(server)
    assert str(response.status_code) == limit.http_status[:3], response.text
    error = response.json()["error"]
    assert error["param"] == param
    assert error["message"]


def test_headers_that_never_end_are_refused_too(server: Server) -> None:
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 80), timeout=10) as raw:
        raw.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: " + b"x" * 4 * limits.HEADER_BYTES.most)
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_an_id_that_is_too_long_is_cut(server: Server) -> None:
    sent = "i" * (limits.SENT_ID_CHARACTERS.most + 20)
    answer = server.http.post(CHAT, json=HELLO | {"max_tokens": 1}, headers={"x-request-id": sent})
    assert answer.headers["x-request-id"].rsplit("-", 1)[0] == "i" * limits.SENT_ID_CHARACTERS.most


@pytest.fixture(scope="module")
def narrow_server() -> Iterator[Server]:
    """One request may wait."""
    with running_server("--load-format", "dummy", "--max-queue", "1") as server:
        yield server


def test_a_full_queue_is_429_with_when_to_come_again(narrow_server: Server) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(narrow_server.http.post(GENERATIONS, json=SMALL | {"num_inference_steps": 300}))

    askers = [threading.Thread(target=ask) for _ in range(10)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert len(refused) < len(answers)
    for answer in refused:
        assert str(answer.status_code) == limits.WAITING.http_status
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert 1 <= int(answer.headers["retry-after"]) <= limits.RETRY_AFTER_S.most
    narrow_server.wait_idle()


# The stages' own door.
ID = kv_pb2.RequestId(id="limits", attempt=1)


def text_request(**decode: Any) -> thinker_pb2.GenerateTextRequest:
    settings = wire.decode_to_proto(DecodeSettings())
    for name, value in decode.items():
        setattr(settings, name, value)
    request = thinker_pb2.GenerateTextRequest(request=ID, decode=settings)
    request.segments.add().text.text = "Hello"
    return request


def context_request(*images: bytes, negative: str | None = None) -> thinker_pb2.PrepareContextRequest:
    request = thinker_pb2.PrepareContextRequest(request=ID, negative_prompt=negative)
    for data in images:
        request.segments.add().image.data = data
    request.segments.add().text.text = "Hello"
    return request


def picture_request(**changes: Any) -> dit_pb2.GenerateRequest:
    request = dit_pb2.GenerateRequest(request=ID, sampler=wire.sampler_to_proto(SamplerSettings()))
    for path, value in changes.items():
        *outer, name = path.split("__")
        target: Any = request
        for step in outer:
            target = getattr(target, step)
        setattr(target, name, value)
    return request


def named(request: Any, name: str) -> Any:
    request.request.id = name
    return request


GUIDANCE = "sampler__guidance__"
BROKEN_MESSAGES: list[tuple[AnyLimit, Any, str | None]] = [
    (limits.MESSAGE_BYTES, context_request(bytes(limits.MESSAGE_BYTES.most)), None),
    (limits.REQUEST_ID_CHARACTERS, named(text_request(), "i" * 129), "request.id"),
    (limits.REQUEST_ID_CHARACTERS, named(text_request(), ""), "request.id"),
    (limits.PICTURES_SENT, context_request(*[small_png()] * 65), "segments"),
    (limits.PICTURE_PIXELS, context_request(png_header(30_000, 30_000)), "segments[0].image"),
    (limits.REQUEST_PIXELS, context_request(*[large_png(4000)] * 5), "segments[4].image"),
    (limits.NEGATIVE_PROMPT_CHARACTERS, context_request(negative="x" * 32_001), "negative_prompt"),
    (limits.PICTURES_MADE, picture_request(n=11), "n"),
    (limits.TIMESTEPS, picture_request(sampler__num_timesteps=1), "num_inference_steps"),
    (limits.TIMESTEPS, picture_request(sampler__num_timesteps=1001), "num_inference_steps"),
    (limits.TIMESTEP_SHIFT, picture_request(sampler__timestep_shift=0.0), "timestep_shift"),
    (limits.TIMESTEP_SHIFT, picture_request(sampler__timestep_shift=100.1), "timestep_shift"),
    (limits.TEXT_SCALE, picture_request(**{GUIDANCE + "text_scale": 100.1}), "cfg_text_scale"),
    (limits.IMAGE_SCALE, picture_request(**{GUIDANCE + "image_scale": -0.1}), "cfg_img_scale"),
    (limits.INTERVAL, picture_request(**{GUIDANCE + "interval_high": 1.1}), "cfg_interval"),
    (limits.INTERVAL, picture_request(**{GUIDANCE + "interval_low": -0.1}), "cfg_interval"),
    (limits.RENORM_MIN, picture_request(**{GUIDANCE + "renorm_min": 1.1}), "cfg_renorm_min"),
    (limits.SEED, picture_request(seed=limits.SEED.most + 1), "seed"),
    (limits.SEED, picture_request(seed=limits.SEED.most, n=2), "seed"),
    (limits.SEED, text_request(seed=limits.SEED.most + 1), "seed"),
    (limits.QUALITY, picture_request(output__quality=101), "output.quality"),
    (limits.PREVIEWS, picture_request(previews__count=4), "previews.count"),
    (limits.NEW_TOKENS, text_request(max_tokens=0), "max_tokens"),
    (limits.NEW_TOKENS, text_request(max_tokens=32769), "max_tokens"),
    (limits.TEMPERATURE, text_request(temperature=2.1), "temperature"),
    (limits.TOP_P, text_request(top_p=0.0), "top_p"),
    (limits.TOP_P, text_request(top_p=1.1), "top_p"),
    (limits.TOP_K, text_request(top_k=1_000_001), "top_k"),
    (limits.REPETITION_PENALTY, text_request(repetition_penalty=0.0), "repetition_penalty"),
    (limits.REPETITION_PENALTY, text_request(repetition_penalty=10.1), "repetition_penalty"),
]


def call(server: Server, request: Any, timeout_s: float = 10.0) -> Iterator[Any]:
    """Send a message to the stage that takes it."""
    dit = isinstance(request, dit_pb2.GenerateRequest)
    options = [(name, value) for name, value in CHANNEL_OPTIONS if "max_send" not in name]
    with grpc.insecure_channel(
        server.dit if dit else server.thinker, [*options, ("grpc.max_send_message_length", -1)]
    ) as c:
        stub = thinker_pb2_grpc.ThinkerStub(c)
        match request:
            case dit_pb2.GenerateRequest():
                yield from dit_pb2_grpc.DitStub(c).Generate(request, timeout=timeout_s)
            case thinker_pb2.GenerateTextRequest():
                yield from stub.GenerateText(request, timeout=timeout_s)
            case _:
                yield from stub.PrepareContext(request, timeout=timeout_s)


@pytest.mark.parametrize(
    ("limit", "request_", "param"),
    BROKEN_MESSAGES,
    ids=[f"{i} {limit.what}" for i, (limit, _, _) in enumerate(BROKEN_MESSAGES)],
)
def test_what_is_beyond_a_limit_gets_the_documented_status_over_grpc(
    server: Server, limit: AnyLimit, request_: Any, param: str | None
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(call(server, request_))
    assert refused.value.code().name == limit.grpc_status, refused.value.details()
    assert dict(refused.value.trailing_metadata() or ()).get(PARAM_KEY) == param


def test_pages_beyond_what_may_travel_inline_are_only_announced(server: Server) -> None:
    out = io.BytesIO()
    scene(512, 512).save(out, format="PNG")
    with grpc.insecure_channel(server.thinker, CHANNEL_OPTIONS) as channel:
        lease = thinker_pb2_grpc.ThinkerStub(channel).PrepareContext(context_request(out.getvalue()), timeout=30)
        handle = next(event.handle for event in lease if event.HasField("handle"))
        read = kv_pb2.ReadRequest(
            handle_id=handle.handle_id, epoch=handle.epoch, request=handle.request,
            read_token=handle.read_token, inline_below=1 << 30,
        )  # fmt: skip
        sizes = []
        for event in kv_pb2_grpc.KvSourceStub(channel).Read(read, timeout=30):
            if event.HasField("pages_ready"):
                pages = sum(run.count for run in event.pages_ready.runs)
                sizes.append((pages * handle.layout.page_stride_bytes, len(event.pages_ready.inline)))
            if event.HasField("sealed"):
                break
        lease.cancel()
    most = limits.INLINE_BYTES.most
    assert any(whole > most for whole, _ in sizes)
    assert all(inline == (whole if whole <= most else 0) for whole, inline in sizes), sizes


def test_every_limit_is_broken_here_or_where_it_says() -> None:
    everywhere = [limit for rows in limits.SECTIONS.values() for limit in rows]
    also = {limits.SENT_ID_CHARACTERS, limits.QUEUE, limits.WAITING, limits.INLINE_BYTES, limits.DEADLINE_S}
    here = {limit for limit, _, _ in BROKEN} | {limit for limit, _, _ in BROKEN_MESSAGES} | also
    assert set(everywhere) == here | ELSEWHERE.keys()
    assert {limit for limit in everywhere if limit.rest} - also - ELSEWHERE.keys() == {limit for limit, _, _ in BROKEN}
    in_messages = {limit for limit in everywhere if limit.grpc} - also - ELSEWHERE.keys()
    assert in_messages == {limit for limit, _, _ in BROKEN_MESSAGES}
