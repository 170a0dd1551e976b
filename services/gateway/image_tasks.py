"""Requests of the images endpoints -> tasks. Pictures arrive as bytes and are looked at elsewhere (`decoding`)."""

import secrets
from collections.abc import Sequence, Set

from bagel.contexts import Output
from bagel.errors import RequestError
from bagel.settings import (
    DEFAULT_MAX_THINK_TOKENS,
    DecodeSettings,
    Guidance,
    ModelLimits,
    SamplerSettings,
    check_output_size,
    check_seed,
)
from services.gateway.image_schemas import POINTS_BY_QUALITY, ImageRequest
from services.gateway.prompts import Picture, message_segments, negative_text
from services.gateway.sampling_defaults import NO_DEFAULTS, SamplingDefaults
from services.gateway.tasks import RANDOM_SEED_BITS, Task, check_length, guidance_of

JPEG_QUALITY = 95


def make_image_task(
    request: ImageRequest, pictures: Sequence[bytes], limits: ModelLimits, defaults: SamplingDefaults = NO_DEFAULTS
) -> Task:
    """Resolve a request; with pictures it is an edit. Raises RequestError naming the field."""
    sent, request = request.model_fields_set, defaults.fill(request)
    parts: list[str | Picture] = [*(Picture(index) for index in range(len(pictures))), request.prompt]
    segments = message_segments(parts, raw=False, param="prompt")
    check_length(segments, limits, param="prompt")
    seed = secrets.randbits(RANDOM_SEED_BITS) if request.seed is None else request.seed
    check_seed(seed + request.n - 1)
    thinking = request.max_think_tokens or DEFAULT_MAX_THINK_TOKENS
    return Task(
        output=Output.IMAGE,
        segments=tuple(segments),
        images=tuple(pictures),
        think=request.think,
        seed=seed,
        decode=DecodeSettings(max_tokens=thinking, seed=seed) if request.think else None,
        sampler=_sampler(request, limits.guidance(edits=bool(pictures))),
        negative_prompt=negative_text(request.negative_prompt) if request.negative_prompt else None,
        size=_size(request, limits, edits=bool(pictures)),
        output_format=request.output_format,
        quality=_quality(request),
        count=request.n,
        previews=request.partial_images if request.stream else 0,
        ignored=_ignored(request, sent),
    )


def _sampler(request: ImageRequest, default: Guidance) -> SamplerSettings:
    if request.guidance_scale is not None and request.cfg_text_scale is not None:
        message = "guidance_scale: is another name of cfg_text_scale; send one of them"
        raise RequestError(message, param="guidance_scale")
    text_scale = request.cfg_text_scale if request.guidance_scale is None else request.guidance_scale
    base = SamplerSettings()
    return SamplerSettings(
        num_timesteps=request.num_inference_steps or POINTS_BY_QUALITY[request.quality],
        timestep_shift=base.timestep_shift if request.timestep_shift is None else request.timestep_shift,
        guidance=guidance_of(request, default, text_scale=text_scale),
    )


def _size(request: ImageRequest, limits: ModelLimits, *, edits: bool) -> tuple[int, int] | None:
    """(height, width); OpenAI writes width first."""
    if request.size == "auto":
        return None if edits else (limits.default_side_px, limits.default_side_px)
    width, height = (int(side) for side in request.size.split("x"))
    try:
        check_output_size(limits, height=height, width=width)
    except RequestError as error:
        raise RequestError(f"size: {error}", param="size") from None
    return height, width


def _quality(request: ImageRequest) -> int:
    """Of the file: OpenAI's compression is the quality of JPEG and WebP, from 0 to 100."""
    if request.output_compression is None:
        return JPEG_QUALITY
    if request.output_format == "png":
        raise RequestError("output_compression: PNG has none; take jpeg or webp", param="output_compression")
    return max(1, request.output_compression)


def _ignored(request: ImageRequest, sent: Set[str]) -> tuple[str, ...]:
    unused = {"moderation", "input_fidelity", "user", "safety_identifier"}
    unused |= set() if request.think else {"max_think_tokens"}
    unused |= set() if request.stream else {"partial_images"}
    unused |= {"quality"} if request.num_inference_steps is not None else set()
    return tuple(sorted(unused & sent))
