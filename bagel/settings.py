"""Typed settings of each task, with the official demo's defaults. Their bounds are those of `bagel.limits`.

Each default stands here once. Source: golden README, sections 4, 5 and 10.
"""

from dataclasses import dataclass
from enum import Enum

from bagel import limits as bounds
from bagel.errors import RequestError

# Of a picture whose size nobody gave, unless the checkpoint has a default of its own or draws no picture so large.
DEFAULT_SIDE_PX = 1024
# The official demo feeds at most 512 tokens, the start marker among them: 511 are visible.
DEFAULT_MAX_TOKENS = 511
# Likewise 1024 for a thought.
DEFAULT_MAX_THINK_TOKENS = 1023


class Renorm(Enum):
    """Which norm is restored after guidance."""

    GLOBAL = "global"
    CHANNEL = "channel"
    TEXT_CHANNEL = "text_channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance of both kinds. `interval` holds when t > interval[0] and t <= interval[1]."""

    text_scale: float = 4.0
    image_scale: float = 1.5
    interval: tuple[float, float] = (0.4, 1.0)
    renorm: Renorm = Renorm.GLOBAL
    renorm_min: float = 0.0

    def __post_init__(self) -> None:
        bounds.TEXT_SCALE.check("cfg_text_scale", self.text_scale)
        bounds.IMAGE_SCALE.check("cfg_img_scale", self.image_scale)
        bounds.INTERVAL.check("cfg_interval", self.interval[0])
        bounds.check_bounds("cfg_interval", self.interval[1], self.interval[0], bounds.INTERVAL.most)
        bounds.RENORM_MIN.check("cfg_renorm_min", self.renorm_min)

    @property
    def needs_cfg_text(self) -> bool:
        """Whether the unconditional context is ever evaluated; a text scale of 1 turns both guidances off."""
        return self.text_scale > 1.0

    @property
    def needs_cfg_img(self) -> bool:
        """Whether the picture-free context is ever evaluated."""
        return self.needs_cfg_text and self.image_scale > 1.0


TEXT_TO_IMAGE_GUIDANCE = Guidance()
EDIT_GUIDANCE = Guidance(image_scale=2.0, interval=(0.0, 1.0), renorm=Renorm.TEXT_CHANNEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """One denoising run. `num_timesteps` points are `num_timesteps - 1` Euler steps."""

    num_timesteps: int = 50
    timestep_shift: float = 3.0
    guidance: Guidance = TEXT_TO_IMAGE_GUIDANCE

    def __post_init__(self) -> None:
        bounds.TIMESTEPS.check("num_inference_steps", self.num_timesteps)
        bounds.TIMESTEP_SHIFT.check("timestep_shift", self.timestep_shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """Writing text. `max_tokens` counts visible tokens; temperature 0 is greedy; top_k 0 keeps every token."""

    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.NEW_TOKENS.check("max_tokens", self.max_tokens)
        bounds.TEMPERATURE.check("temperature", self.temperature)
        bounds.TOP_P.check("top_p", self.top_p)
        bounds.TOP_K.check("top_k", self.top_k)
        bounds.REPETITION_PENALTY.check("repetition_penalty", self.repetition_penalty)
        check_seed(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What a checkpoint can do and does unasked; the stages report it, since the gateway has no checkpoint."""

    token_pixels: int
    max_side_px: int
    default_side_px: int
    max_context_tokens: int
    text2img_guidance: Guidance = TEXT_TO_IMAGE_GUIDANCE
    img2img_guidance: Guidance = EDIT_GUIDANCE

    @property
    def min_side_px(self) -> int:
        """Smallest side of an output picture, in pixels."""
        return self.token_pixels

    def guidance(self, *, edits: bool) -> Guidance:
        """Of a picture whose request says nothing about it."""
        return self.img2img_guidance if edits else self.text2img_guidance


def check_output_size(limits: ModelLimits, *, height: int, width: int) -> None:
    """Raise RequestError naming the side when a picture of that size cannot be made."""
    for name, side in (("height", height), ("width", width)):
        bounds.check_bounds(name, side, limits.min_side_px, limits.max_side_px)
        if side % limits.token_pixels:
            raise RequestError(
                f"{name} must be a multiple of {limits.token_pixels}, not {side}: this model draws"
                f" {limits.token_pixels} px a token; take {round(side / limits.token_pixels) * limits.token_pixels}",
                param=name,
            )


def check_seed(seed: int) -> None:
    """Raise RequestError unless the generators take this seed."""
    bounds.SEED.check("seed", seed)
