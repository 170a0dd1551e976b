"""OpenAI's images endpoints: whole, streamed, edited, masked, linked."""

import base64
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.server import Server, picture, read_picture, scene, text, user

SMALL: dict[str, Any] = {"prompt": "A red circle", "size": "128x128", "num_inference_steps": 8, "seed": 5}
GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def opened(entry: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(entry["b64_json"])))


def generate(server: Server, **body: Any) -> dict[str, Any]:
    response = server.http.post(GENERATIONS, json=SMALL | body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def edit(server: Server, files: list[tuple[str, bytes]], **fields: str) -> httpx.Response:
    form = {"prompt": "Make it blue", "num_inference_steps": "5", "seed": "5", **fields}
    upload = [(name, ("upload", data, "application/octet-stream")) for name, data in files]
    return server.http.post(EDITS, data=form, files=upload)


def stream(server: Server, path: str, **request: Any) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """Named events and comments."""
    with server.http.stream("POST", path, **request) as response:
        assert response.status_code == 200, response.read()
        lines = list(response.iter_lines())
    events = [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in itertools.pairwise(lines)
        if name.startswith("event: ")
    ]
    return events, [line for line in lines if line.startswith(":")]


def test_a_generation_is_the_chat_endpoint_s_picture(server: Server) -> None:
    answer = generate(server)
    chat = server.answer(
        messages=user("A red circle"), modalities=["image"], height=128, width=128, num_inference_steps=8, seed=5
    )
    (entry,) = answer["data"]
    assert base64.b64decode(entry["b64_json"]) == read_picture(chat)
    assert (answer["size"], answer["output_format"], answer["background"]) == ("128x128", "png", "opaque")
    assert answer["usage"]["input_tokens"] > 0


def test_several_pictures_come_from_one_prefill_with_seeds_that_count_up(server: Server) -> None:
    answer = generate(server, n=3)
    assert [entry["seed"] for entry in answer["data"]] == [5, 6, 7]
    assert len({entry["b64_json"] for entry in answer["data"]}) == 3
    assert answer["data"][1]["b64_json"] == generate(server, seed=6)["data"][0]["b64_json"]
    assert answer["bagel"]["work"]["blocks"] == generate(server)["bagel"]["work"]["blocks"]


@pytest.mark.parametrize(("fmt", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats_and_their_compression(server: Server, fmt: str, kind: str) -> None:
    large, small = (generate(server, output_format=fmt, output_compression=q)["data"][0] for q in (95, 10))
    assert opened(small).format == kind
    assert len(small["b64_json"]) < len(large["b64_json"])


def test_quality_chooses_the_number_of_steps_unless_it_is_given(server: Server) -> None:
    body = {name: value for name, value in SMALL.items() if name != "num_inference_steps"}
    answer = server.http.post(GENERATIONS, json=body | {"quality": "low"}).json()
    assert answer["bagel"]["work"]["steps"] == 19
    assert generate(server, quality="low")["bagel"]["ignored"] == ["quality"]


def test_openai_s_fields_that_mean_nothing_here_are_named(server: Server) -> None:
    sent = {"user": "someone", "safety_identifier": "someone", "moderation": "low"}
    assert generate(server, **sent)["bagel"]["ignored"] == sorted(sent)


def test_guidance_scale_is_another_name(server: Server) -> None:
    named, ours = generate(server, guidance_scale=2.0), generate(server, cfg_text_scale=2.0)
    assert named["data"] == ours["data"] != generate(server)["data"]


def test_a_stream_shows_the_picture_on_the_way(server: Server) -> None:
    body = SMALL | {"stream": True, "partial_images": 2, "num_inference_steps": 21}
    events, comments = stream(server, GENERATIONS, json=body)
    assert [name for name, _ in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [data["partial_image_index"] for _, data in events[:2]] == [0, 1]
    assert all(data["type"] == name for name, data in events)
    assert events[-1][1]["usage"]["total_tokens"] > 0
    assert comments[-1] == ": picture 1: step 20 of 20"
    assert events[-1][1]["b64_json"] == generate(server, num_inference_steps=21)["data"][0]["b64_json"]


def test_the_first_preview_comes_early_and_the_last_is_close(default_server: Server) -> None:
    body = {"prompt": "A red circle on a white background", "stream": True, "partial_images": 3, "seed": 1,
            "size": "256x256", "num_inference_steps": 30}  # fmt: skip
    with default_server.http.stream("POST", GENERATIONS, json=body) as response:
        lines = list(response.iter_lines())
    kinds = [line for line in lines if line.startswith((": ", "event: "))]
    first = kinds.index("event: image_generation.partial_image")
    assert len([line for line in kinds[:first] if line.startswith(": ")]) <= 0.4 * 29
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    last, final = (np.asarray(opened(event).resize((256, 256)), np.float64) for event in events[-2:])
    assert 10 * np.log10(255**2 / np.mean((last - final) ** 2)) >= 20


def test_an_edit_takes_one_or_several_pictures(server: Server) -> None:
    one = edit(server, [("image", png(scene(96, 64)))])
    assert one.status_code == 200, one.text
    chat = server.answer(
        messages=user(picture(scene(96, 64)), text("Make it blue")),
        modalities=["image"], num_inference_steps=5, seed=5,
    )  # fmt: skip
    assert base64.b64decode(one.json()["data"][0]["b64_json"]) == read_picture(chat)
    two = edit(server, [("image[]", png(scene(96, 64))), ("image[]", png(scene(64, 64)))])
    assert two.status_code == 200, two.text
    assert two.json()["bagel"]["work"]["vit_passes"] == 2


def test_a_mask_keeps_what_it_covers(server: Server) -> None:
    given = scene(96, 64)
    mask = Image.new("RGBA", given.size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (48, 0, 96, 64))
    plain, masked = (
        edit(server, [("image", png(given)), *extra], size="192x128") for extra in ([], [("mask", png(mask))])
    )
    assert masked.status_code == 200, masked.text
    kept, made = opened(masked.json()["data"][0]), opened(plain.json()["data"][0])
    old = given.resize((192, 128), Image.Resampling.BICUBIC)
    assert kept.crop((0, 0, 90, 128)).tobytes() == old.crop((0, 0, 90, 128)).tobytes()
    assert kept.crop((100, 0, 192, 128)).tobytes() == made.crop((100, 0, 192, 128)).tobytes()


def test_a_streamed_edit_has_its_own_event_names(server: Server) -> None:
    form = {"prompt": "Make it blue", "stream": "true", "partial_images": "1", "num_inference_steps": "9"}
    events, _ = stream(server, EDITS, data=form, files=[("image", ("a.png", png(scene(96, 64)), "image/png"))])
    assert [name for name, _ in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_a_streamed_picture_brings_its_seed_and_its_thought(server: Server) -> None:
    body = SMALL | {"think": True, "max_think_tokens": 5, "seed": 3}
    events, _ = stream(server, GENERATIONS, json=body | {"stream": True})
    whole = server.http.post(GENERATIONS, json=body).json()["data"][0]
    assert whole["revised_prompt"]
    assert {name: events[-1][1][name] for name in whole} == whole


def test_a_url_gives_the_picture_and_only_the_signed_one(server: Server) -> None:
    (entry,) = generate(server, response_format="url")["data"]
    response = server.http.get(entry["url"])
    assert response.headers["content-type"] == "image/png"
    assert response.content == base64.b64decode(generate(server)["data"][0]["b64_json"])
    for forged in (entry["url"][:-1], entry["url"].replace("until=1", "until=2"), entry["url"].split("?")[0]):
        assert server.http.get(forged).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": ""}, "prompt"), ({"n": 11}, "n"), ({"n": 0}, "n"), ({"size": "100x100"}, "size"),
        ({"size": "8192x8192"}, "size"), ({"size": "big"}, "size"), ({"background": "transparent"}, "background"),
        ({"style": "vivid"}, "style"), ({"quality": "best"}, "quality"), ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 50}, "output_compression"), ({"partial_images": 4}, "partial_images"),
        ({"guidance_scale": 3, "cfg_text_scale": 3}, "guidance_scale"), ({"cfg_text_scale": -1}, "cfg_text_scale"),
        ({"response_format": "json"}, "response_format"), ({"model": "dall-e-3"}, "model"), ({"prompt": 7}, "prompt"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(server: Server, body: dict[str, Any], param: str) -> None:
    response = server.http.post(GENERATIONS, json=SMALL | body)
    assert response.status_code in (400, 404)
    assert response.json()["error"]["param"] == param


def test_bad_forms_are_refused_by_name(server: Server) -> None:
    good = png(scene(96, 64))
    opaque = png(Image.new("RGB", (96, 64)))
    other = png(Image.new("RGBA", (64, 64)))
    for files, fields, param in (
        ([], {"x": "y"}, None), ([("image", b"not a picture")], {}, "image[0]"), ([("picture", good)], {}, "picture"),
        ([("image", good)], {"n": "many"}, "n"), ([("image", good)], {"stream": "maybe"}, "stream"),
        ([("image", good), ("mask", opaque)], {}, "mask"), ([("image", good), ("mask", other)], {}, "mask"),
    ):  # fmt: skip
        response = edit(server, files, **fields)
        assert response.status_code == 400, (fields, response.text)
        if param is not None:
            assert response.json()["error"]["param"] == param
    broken = server.http.post(
        EDITS, content=b"--x\r\nnothing", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert broken.status_code == 400
    assert broken.json()["error"]["message"]


def test_a_form_of_unknown_length_is_bounded_too(server: Server) -> None:
    def large() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n'
        yield from (bytes(1 << 20) for _ in range(65))

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert server.http.post(EDITS, content=large(), headers=headers).status_code == 413


def test_variations_are_gone_with_a_reason(server: Server) -> None:
    response = server.http.post("/v1/images/variations")
    assert response.status_code == 404
    assert "/v1/images/edits" in response.json()["error"]["message"]


def test_a_running_request_is_cancelled_by_the_id_that_its_client_sent(server: Server) -> None:
    body = SMALL | {"stream": True, "num_inference_steps": 1000}
    with server.http.stream("POST", GENERATIONS, json=body, headers={"x-request-id": "mine"}) as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith(": "))
        assert server.http.delete("/v1/requests/mine").status_code == 200
        assert json.loads([line for line in lines if line][-1].removeprefix("data: "))["error"]["code"] == "cancelled"
    server.wait_idle()
    assert server.http.delete("/v1/requests/mine").status_code == 404
