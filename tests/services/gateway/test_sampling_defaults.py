"""The server's own settings where a request is silent, and nowhere else."""

from typing import Any

import pytest

from bagel.errors import ConfigError
from bagel.settings import ModelLimits
from services.gateway.image_schemas import parse_generation
from services.gateway.image_tasks import make_image_task
from services.gateway.sampling_defaults import parse_sampling_defaults
from services.gateway.schemas import parse_chat_request
from services.gateway.tasks import make_task

LIMITS = ModelLimits(token_pixels=16, max_side_px=1024, default_side_px=1024, max_context_tokens=32768)
DEFAULTS = parse_sampling_defaults(
    '{"text": {"temperature": 0.4, "max_tokens": 7, "seed": 52},'
    ' "image": {"seed": 53, "num_inference_steps": 9, "cfg_text_scale": 2.5}}'
)
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
DRAW = {**ASK, "modalities": ["image"]}


def test_a_silent_text_takes_them() -> None:
    task = make_task(parse_chat_request(ASK), [], LIMITS, DEFAULTS)
    assert task.decode is not None
    assert (task.decode.temperature, task.decode.max_tokens, task.decode.seed) == (0.4, 7, 52)
    # What the server adds was not sent, so it cannot have been sent in vain.
    assert task.ignored == ()


def test_a_silent_picture_takes_its_own_and_those_of_its_thought() -> None:
    task = make_task(parse_chat_request({**DRAW, "think": True}), [], LIMITS, DEFAULTS)
    assert task.decode is not None
    assert task.sampler is not None
    assert (task.seed, task.sampler.num_timesteps, task.sampler.guidance.text_scale) == (53, 9, 2.5)
    assert task.decode.temperature == 0.4
    assert task.decode.max_tokens != 7
    task = make_image_task(parse_generation({"prompt": "A cat"}), [], LIMITS, DEFAULTS)
    assert task.sampler is not None
    assert (task.seed, task.sampler.num_timesteps, task.sampler.guidance.text_scale) == (53, 9, 2.5)


@pytest.mark.parametrize(
    ("sent", "steps", "scale"),
    [
        ({"num_inference_steps": 20}, 20, 2.5),
        ({"cfg_text_scale": 3}, 9, 3),
        ({"guidance_scale": 3}, 9, 3),
        ({"quality": "low"}, 20, 2.5),
    ],
)
def test_what_a_request_says_under_any_name_is_stronger(sent: dict[str, Any], steps: int, scale: float) -> None:
    task = make_image_task(parse_generation({"prompt": "A cat", **sent}), [], LIMITS, DEFAULTS)
    assert task.sampler is not None
    assert (task.sampler.num_timesteps, task.sampler.guidance.text_scale) == (steps, scale)


def test_a_request_may_refuse_to_think() -> None:
    defaults = parse_sampling_defaults(None, think=True)
    assert make_task(parse_chat_request(ASK), [], LIMITS, defaults).think
    assert make_image_task(parse_generation({"prompt": "A cat"}), [], LIMITS, defaults).think
    assert not make_task(parse_chat_request({**ASK, "think": False}), [], LIMITS, defaults).think


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "must be like"),
        ('{"text": 1}', "must be like"),
        ('{"video": {}}', "unknown field video"),
        ('{"text": {"size": 1}}', "unknown field text.size"),
        ('{"text": {"temperature": 9}}', "temperature"),
        ('{"image": {"num_inference_steps": 0}}', "num_inference_steps"),
    ],
)
def test_a_mistake_is_named(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_sampling_defaults(text)
