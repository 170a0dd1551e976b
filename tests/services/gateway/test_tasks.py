"""Requests -> tasks: the official defaults of each task, and an error that names the field for all that is wrong."""

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bagel.contexts import Output, Role
from bagel.errors import RequestError
from bagel.limits import SEED
from bagel.settings import EDIT_GUIDANCE, TEXT_TO_IMAGE_GUIDANCE, Guidance, ModelLimits, Renorm, SamplerSettings
from services.gateway.errors import ApiError
from services.gateway.image_schemas import parse_generation
from services.gateway.image_tasks import make_image_task
from services.gateway.prompts import Picture, Text
from services.gateway.schemas import parse_chat_request
from services.gateway.sources import decode_data_uri, picture_urls
from services.gateway.tasks import Task, make_task

LIMITS = ModelLimits(token_pixels=16, max_side_px=1024, default_side_px=1024, max_context_tokens=32768)
URL_FIELD = "messages[0].content[1].image_url.url"


def _png(width: int = 40, height: int = 24) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 10)).save(out, format="PNG")
    return out.getvalue()


def _data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _body(*urls: str, text: str | None = "A cute cat", **fields: Any) -> dict[str, Any]:
    texts = [] if text is None else [{"type": "text", "text": text}]
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"messages": [{"role": "user", "content": [*texts, *pictures]}], **fields}


def _task(*urls: str, text: str | None = "A cute cat", **fields: Any) -> Task:
    return _resolve(_body(*urls, text=text, **fields))


def _resolve(body: dict[str, Any], limits: ModelLimits = LIMITS) -> Task:
    request = parse_chat_request(body)
    return make_task(request, [decode_data_uri(url, param) for param, url in picture_urls(request)], limits)


def _picture_task(*urls: str, text: str | None = "A cute cat", **fields: Any) -> Task:
    return _task(*urls, text=text, modalities=["image"], **fields)


def test_a_text_to_image_task_has_the_demos_defaults() -> None:
    task = _picture_task()

    assert (task.name, task.output, task.size, task.output_format) == ("text2img", Output.IMAGE, (1024, 1024), "png")
    assert task.sampler == SamplerSettings(num_timesteps=50, timestep_shift=3.0, guidance=TEXT_TO_IMAGE_GUIDANCE)
    assert task.roles == (Role.CFG_TEXT, Role.CFG_IMG)
    assert (task.decode, task.negative_prompt, task.ignored) == (None, None, ())


def test_an_edit_has_the_demos_defaults_and_the_pictures_size() -> None:
    data = _png()
    task = _picture_task(_data_uri(data))

    assert (task.name, task.size, task.images) == ("img2img", None, (data,))
    assert task.sampler == SamplerSettings(num_timesteps=50, timestep_shift=3.0, guidance=EDIT_GUIDANCE)
    assert task.segments == (Picture(0), Text("A cute cat"))


@pytest.mark.parametrize("urls", [(), (_data_uri(_png()),)])
def test_text_tasks_write_greedily_up_to_511_tokens_and_sample_nothing(urls: tuple[str, ...]) -> None:
    task = _task(*urls)

    assert task.name == ("img2text" if urls else "text2text")
    assert (task.output, task.sampler, task.size, task.roles) == (Output.TEXT, None, None, ())
    assert task.decode is not None
    assert (task.decode.max_tokens, task.decode.temperature, task.decode.top_p) == (511, 0.0, 1.0)


@pytest.mark.parametrize(
    ("fields", "max_tokens"),
    [
        ({}, 511),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9}, 9),
        ({"think": True}, 1023),
        ({"think": True, "max_think_tokens": 30}, 30),
        ({"think": True, "max_tokens": 12}, 12),
        ({"modalities": ["image"], "think": True}, 1023),
        ({"modalities": ["image"], "think": True, "max_think_tokens": 64}, 64),
    ],
)
def test_the_limit_of_tokens_depends_on_thinking(fields: dict[str, Any], max_tokens: int) -> None:
    task = _task(**fields)

    assert task.decode is not None
    assert task.decode.max_tokens == max_tokens
    assert task.think is fields.get("think", False)


def test_every_setting_of_a_picture_reaches_the_sampler() -> None:
    task = _picture_task(
        height=512, width=768, num_inference_steps=25, seed=42, negative_prompt="<|im_start|>blurry<|im_end|>",
        cfg_text_scale=3.5, cfg_img_scale=1, cfg_interval=[0.1, 0.9], cfg_renorm_type="channel", cfg_renorm_min=0.5,
        timestep_shift=2.0, output_format="webp",
    )  # fmt: skip

    guidance = Guidance(text_scale=3.5, image_scale=1.0, interval=(0.1, 0.9), renorm=Renorm.CHANNEL, renorm_min=0.5)
    assert task.sampler == SamplerSettings(num_timesteps=25, timestep_shift=2.0, guidance=guidance)
    assert (task.size, task.seed, task.negative_prompt, task.output_format) == ((512, 768), 42, "blurry", "webp")
    assert task.roles == (Role.CFG_TEXT,)


def test_zero_is_a_value_and_not_the_default() -> None:
    task = _picture_task(cfg_text_scale=0, cfg_img_scale=0, seed=0)

    assert task.sampler is not None
    assert (task.sampler.guidance.text_scale, task.sampler.guidance.image_scale, task.seed) == (0.0, 0.0, 0)
    assert task.roles == ()


def test_a_request_without_a_seed_gets_one_of_its_own() -> None:
    assert len({_picture_task().seed for _ in range(8)}) > 1


def test_one_side_of_a_new_picture_may_be_left_to_the_default() -> None:
    assert _picture_task(height=576).size == (576, 1024)


@pytest.mark.parametrize(("given", "missing"), [("height", "width"), ("width", "height")])
def test_an_edit_needs_both_sides_or_neither(given: str, missing: str) -> None:
    with pytest.raises(RequestError, match="both height and width") as refused:
        _picture_task(_data_uri(_png()), **{given: 512})
    assert refused.value.param == missing
    assert _picture_task(_data_uri(_png()), height=512, width=256).size == (512, 256)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cfg_text_scale", 101.0), ("cfg_text_scale", -1), ("cfg_img_scale", 1e9), ("cfg_interval", [0.9, 0.1]),
        ("cfg_interval", [0.0, 1.5]), ("cfg_renorm_min", 2.0), ("timestep_shift", 0.0), ("timestep_shift", 1000.0),
        ("height", 513), ("width", 2048), ("height", 0), ("width", -16),
    ],
)  # fmt: skip
def test_a_setting_out_of_bounds_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises((RequestError, ApiError)) as refused:
        _picture_task(**{field: value})
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"height": 512, "num_inference_steps": 5, "max_tokens": 4}, ("height", "num_inference_steps")),
        ({"negative_prompt": "x", "output_format": "png"}, ("negative_prompt", "output_format")),
        ({"max_think_tokens": 4}, ("max_think_tokens",)),
        ({"modalities": ["image"], "max_tokens": 4, "top_p": 0.5, "height": 512}, ("max_tokens", "top_p")),
        ({"modalities": ["image"], "think": True, "max_tokens": 4, "top_p": 0.5}, ("max_tokens", "top_p")),
        ({"top_p": 0.5, "top_k": 5}, ("top_k", "top_p")),
        ({"modalities": ["image"], "repetition_penalty": 1.1}, ("repetition_penalty",)),
        ({"modalities": ["image"], "think": True, "repetition_penalty": 1.1}, ()),
        ({"modalities": ["image"], "negative_prompt": " "}, ("negative_prompt",)),
        (
            {"modalities": ["image"], "cfg_text_scale": 1.0, "cfg_img_scale": 2.0, "negative_prompt": "x"},
            ("cfg_img_scale", "negative_prompt"),
        ),
        ({"modalities": ["image"], "think": True, "max_think_tokens": 4, "temperature": 0.5}, ()),
        ({"temperature": 0.5, "seed": 3}, ()),
    ],
)
def test_fields_that_mean_nothing_for_the_task_are_reported(fields: dict[str, Any], ignored: tuple[str, ...]) -> None:
    assert _task(**fields).ignored == ignored


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "http://example.com/cat.png", "https://example.com/cat.png", "/etc/passwd", "",
        "data:text/plain;base64,aGVsbG8=", "data:image/png,raw", "ftp://x",
    ],
)  # fmt: skip
def test_pictures_are_taken_inline_only(url: str) -> None:
    with pytest.raises(RequestError, match="inline as data:image") as refused:
        _picture_task(url)
    assert refused.value.param == URL_FIELD


@pytest.mark.parametrize("encoded", ["!!!!", "abc", "aGVsbG8=\n", "aGVs bG8="])
def test_wrong_base64_is_refused_by_its_field(encoded: str) -> None:
    with pytest.raises(RequestError, match="not valid base64") as refused:
        _picture_task(f"data:image/png;base64,{encoded}")
    assert refused.value.param == URL_FIELD


def test_a_picture_may_be_labelled_as_another_format() -> None:
    data = _png()
    url = _data_uri(data).replace("image/png;", "image/JPEG;charset=utf-8;")

    assert _picture_task(url).images == (data,)


def test_more_than_64_pictures_are_refused() -> None:
    url = _data_uri(_png(8, 8))
    with pytest.raises(RequestError, match="65 pictures were sent, at most 64") as refused:
        _picture_task(*[url] * 65)
    assert refused.value.param == "messages"
    assert len(_picture_task(*[url] * 64).images) == 64


def test_a_request_without_a_prompt_is_refused() -> None:
    with pytest.raises(RequestError, match="neither a text nor a picture") as refused:
        _task(text="  ")
    assert refused.value.param == "messages"


def test_a_picture_needs_a_text_to_be_described_but_none_to_be_redrawn() -> None:
    url = _data_uri(_png())
    with pytest.raises(RequestError, match="needs a text") as refused:
        _task(url, text=None)
    assert refused.value.param == "messages"
    assert _picture_task(url, text=None).segments == (Picture(0),)


def test_pictures_are_counted_over_all_messages() -> None:
    url = _data_uri(_png())
    body = {"messages": [_body(url, text="one")["messages"][0], _body(url, text="two")["messages"][0]]}
    task = _resolve(body | {"modalities": ["image"]})

    assert task.segments == (Picture(0), Text("one"), Picture(1), Text("two"))


@pytest.mark.parametrize(
    ("fields", "size"), [({}, (256, 256)), ({"height": 512}, (512, 256)), ({"width": 768}, (256, 768))]
)
def test_a_side_that_is_not_given_is_the_models_default(fields: dict[str, int], size: tuple[int, int]) -> None:
    small = ModelLimits(token_pixels=16, max_side_px=768, default_side_px=256, max_context_tokens=4096)

    assert _resolve(_body(modalities=["image"], **fields), small).size == size


def test_a_limit_that_another_overrules_is_reported() -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "think": True, "max_tokens": 10, "max_think_tokens": 50}
    assert _resolve(body).ignored == ("max_think_tokens",)


def test_what_a_request_leaves_open_of_the_guidance_is_the_models() -> None:
    own = replace(LIMITS, text2img_guidance=Guidance(text_scale=2.5), img2img_guidance=Guidance(image_scale=3.0))
    drawing = _resolve(_body(modalities=["image"], cfg_renorm_min=0.5), own)
    editing = _resolve(_body(_data_uri(_png()), modalities=["image"]), own)

    assert drawing.sampler is not None
    assert drawing.sampler.guidance == Guidance(text_scale=2.5, renorm_min=0.5)
    assert editing.sampler is not None
    assert editing.sampler.guidance == Guidance(image_scale=3.0)


def test_the_seed_of_the_last_of_several_pictures_is_in_bounds_too() -> None:
    request = parse_generation({"prompt": "A cat", "n": 3, "seed": SEED.most - 2})
    assert make_image_task(request, [], LIMITS).seed == SEED.most - 2
    request = parse_generation({"prompt": "A cat", "n": 4, "seed": SEED.most - 2})
    with pytest.raises(RequestError, match="seed must be between") as refused:
        make_image_task(request, [], LIMITS)
    assert refused.value.param == "seed"
