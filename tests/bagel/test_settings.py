"""Settings: the bounds that every door enforces, the official defaults, and which contexts guidance needs."""

import math

import pytest

from bagel.errors import RequestError
from bagel.limits import SEED
from bagel.settings import (
    DEFAULT_MAX_THINK_TOKENS,
    DEFAULT_MAX_TOKENS,
    EDIT_GUIDANCE,
    TEXT_TO_IMAGE_GUIDANCE,
    DecodeSettings,
    Guidance,
    ModelLimits,
    Renorm,
    SamplerSettings,
    check_output_size,
    check_seed,
)

LIMITS = ModelLimits(token_pixels=16, max_side_px=1024, default_side_px=1024, max_context_tokens=32768)
NOT_IN_BOUNDS = [math.nan, math.inf, -math.inf, -1e-9]


def test_the_defaults_are_those_of_the_official_demo() -> None:
    assert SamplerSettings() == SamplerSettings(
        num_timesteps=50,
        timestep_shift=3.0,
        guidance=Guidance(text_scale=4.0, image_scale=1.5, interval=(0.4, 1.0), renorm=Renorm.GLOBAL, renorm_min=0.0),
    )
    assert SamplerSettings().guidance == TEXT_TO_IMAGE_GUIDANCE
    edit = Guidance(text_scale=4.0, image_scale=2.0, interval=(0.0, 1.0), renorm=Renorm.TEXT_CHANNEL, renorm_min=0.0)
    assert edit == EDIT_GUIDANCE
    # The demo feeds 512 and 1024 tokens, the start marker among them.
    assert (DEFAULT_MAX_TOKENS, DEFAULT_MAX_THINK_TOKENS) == (511, 1023)
    assert DecodeSettings() == DecodeSettings(max_tokens=511, temperature=0.0, top_p=1.0, seed=0)


@pytest.mark.parametrize("value", [*NOT_IN_BOUNDS, 100.1, 1e9])
@pytest.mark.parametrize(("field", "param"), [("text_scale", "cfg_text_scale"), ("image_scale", "cfg_img_scale")])
def test_a_guidance_scale_out_of_bounds_is_refused_by_its_public_name(field: str, param: str, value: float) -> None:
    with pytest.raises(RequestError, match="must be between") as refused:
        Guidance(**{field: value})
    assert refused.value.param == param


@pytest.mark.parametrize("value", [*NOT_IN_BOUNDS, 1.1])
def test_a_renorm_floor_out_of_bounds_is_refused(value: float) -> None:
    with pytest.raises(RequestError) as refused:
        Guidance(renorm_min=value)
    assert refused.value.param == "cfg_renorm_min"


@pytest.mark.parametrize(
    "interval",
    [(0.9, 0.1), (1.0, 0.0), (-0.1, 1.0), (0.0, 1.1), (math.nan, 1.0), (0.0, math.nan), (0.0, math.inf), (2.0, 3.0)],
)
def test_an_interval_that_is_reversed_or_out_of_bounds_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(RequestError) as refused:
        Guidance(interval=interval)
    assert refused.value.param == "cfg_interval"


@pytest.mark.parametrize("interval", [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5)])
def test_an_interval_may_touch_its_bounds_and_may_be_empty(interval: tuple[float, float]) -> None:
    assert Guidance(interval=interval).interval == interval


@pytest.mark.parametrize("steps", [0, 1, -5, 1001, 10**9])
def test_a_number_of_steps_out_of_bounds_is_refused(steps: int) -> None:
    with pytest.raises(RequestError) as refused:
        SamplerSettings(num_timesteps=steps)
    assert refused.value.param == "num_inference_steps"


@pytest.mark.parametrize("shift", [*NOT_IN_BOUNDS, 0.0, 100.1])
def test_a_timestep_shift_out_of_bounds_is_refused(shift: float) -> None:
    with pytest.raises(RequestError) as refused:
        SamplerSettings(timestep_shift=shift)
    assert refused.value.param == "timestep_shift"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0), ("max_tokens", 32769), ("max_tokens", 10**9),
        ("temperature", math.nan), ("temperature", math.inf), ("temperature", -0.1), ("temperature", 2.1),
        ("top_p", 0.0), ("top_p", math.nan), ("top_p", 1.01),
        ("seed", -1), ("seed", SEED.most + 1),
    ],
)  # fmt: skip
def test_decode_settings_out_of_bounds_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(RequestError) as refused:
        DecodeSettings(**{field: value})
    assert refused.value.param == field


def test_bounds_themselves_are_allowed() -> None:
    assert SamplerSettings(num_timesteps=2).num_timesteps == 2
    assert SamplerSettings(num_timesteps=1000, timestep_shift=100.0).timestep_shift == 100.0
    assert Guidance(text_scale=0.0, image_scale=100.0, renorm_min=1.0).renorm_min == 1.0
    assert DecodeSettings(max_tokens=32768, temperature=0.0, top_p=1.0, seed=SEED.most).seed == SEED.most
    check_seed(0)
    check_seed(SEED.most)


@pytest.mark.parametrize(
    ("text_scale", "image_scale", "needs_text", "needs_image"),
    [
        (4.0, 1.5, True, True),
        (4.0, 1.0, True, False),
        (4.0, 0.0, True, False),
        (1.0, 1.5, False, False),
        (0.0, 2.0, False, False),
        (1.0, 1.0, False, False),
        (1.001, 1.001, True, True),
    ],
)
def test_a_text_scale_of_one_or_less_turns_both_guidances_off(
    text_scale: float, image_scale: float, needs_text: bool, needs_image: bool
) -> None:
    guidance = Guidance(text_scale=text_scale, image_scale=image_scale)

    assert (guidance.needs_cfg_text, guidance.needs_cfg_img) == (needs_text, needs_image)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (1024, 1024), (576, 1024), (64, 1024), (528, 80)])
def test_sizes_in_whole_tokens_up_to_the_position_table_are_allowed(height: int, width: int) -> None:
    check_output_size(LIMITS, height=height, width=width)


@pytest.mark.parametrize(
    ("height", "width", "param"),
    [
        (8, 512, "height"), (512, 8, "width"), (0, 512, "height"), (-16, 512, "height"),
        (1040, 512, "height"), (512, 1040, "width"), (10**9, 512, "height"),
        (513, 512, "height"), (512, 520, "width"), (1023, 1024, "height"),
    ],
)  # fmt: skip
def test_a_size_that_cannot_be_drawn_is_refused_by_its_side(height: int, width: int, param: str) -> None:
    with pytest.raises(RequestError, match=f"^{param} must be") as refused:
        check_output_size(LIMITS, height=height, width=width)
    assert refused.value.param == param


def test_a_size_between_two_tokens_is_refused_with_a_size_that_works() -> None:
    with pytest.raises(RequestError, match=r"take 512$"):
        check_output_size(LIMITS, height=515, width=512)


def test_the_smallest_picture_is_one_token() -> None:
    assert LIMITS.min_side_px == 16
    check_output_size(
        ModelLimits(token_pixels=8, max_side_px=80, default_side_px=80, max_context_tokens=1), height=8, width=80
    )
