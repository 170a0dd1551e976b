"""Typed settings of each task, with the official demo's defaults and the bounds that every door enforces.

Each default stands here once. Source: golden README, sections 4, 5 and 10.
"""

from dataclasses import dataclass
from enum import Enum

from bagel.errors import RequestError

MAX_IMAGES = 64
MAX_TIMESTEPS = 1000
MAX_NEW_TOKENS = 32768
MAX_GUIDANCE_SCALE = 100.0
MAX_TIMESTEP_SHIFT = 100.0
MAX_SEED = 2**63 - 1
# Of a picture whose size nobody gave, unless the checkpoint has a default of its own or draws no picture so large.
DEFAULT_SIDE_PX = 1024
# The official demo feeds at most 512 tokens, the start marker among them: 511 are visible.
DEFAULT_MAX_TOKENS = 511
# Likewise 1024 for a thought.
DEFAULT_MAX_THINK_TOKENS = 1023


def _bounded(name: str, value: float, least: float, most: float) -> None:
    # Written so that NaN fails too.
    if not least <= value <= most:
        raise RequestError(f"{name} must be between {least} and {most}, not {value}", param=name)


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
        _bounded("cfg_text_scale", self.text_scale, 0.0, MAX_GUIDANCE_SCALE)
        _bounded("cfg_img_scale", self.image_scale, 0.0, MAX_GUIDANCE_SCALE)
        _bounded("cfg_interval", self.interval[0], 0.0, 1.0)
        _bounded("cfg_interval", self.interval[1], self.interval[0], 1.0)
        _bounded("cfg_renorm_min", self.renorm_min, 0.0, 1.0)

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
        _bounded("num_inference_steps", self.num_timesteps, 2, MAX_TIMESTEPS)
        _bounded("timestep_shift", self.timestep_shift, 1e-3, MAX_TIMESTEP_SHIFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """Writing text. `max_tokens` counts visible tokens; temperature 0 is greedy."""

    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _bounded("max_tokens", self.max_tokens, 1, MAX_NEW_TOKENS)
        _bounded("temperature", self.temperature, 0.0, 100.0)
        _bounded("top_p", self.top_p, 1e-6, 1.0)
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
        _bounded(name, side, limits.min_side_px, limits.max_side_px)
        if side % limits.token_pixels:
            raise RequestError(
                f"{name} must be a multiple of {limits.token_pixels}, not {side}: this model draws"
                f" {limits.token_pixels} px a token; take {round(side / limits.token_pixels) * limits.token_pixels}",
                param=name,
            )


def check_seed(seed: int) -> None:
    """Raise RequestError unless the generators take this seed."""
    _bounded("seed", seed, 0, MAX_SEED)
