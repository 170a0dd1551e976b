"""A validated request -> a task: segments, encoded pictures, typed settings with the defaults of that task.

Pure but for random seeds; pictures travel on as they were sent, and are looked at elsewhere (`decoding`).
"""

import secrets
from collections.abc import Sequence, Set
from dataclasses import dataclass

from bagel.contexts import Output, Role
from bagel.errors import RequestError
from bagel.limits import CHARACTERS_A_TOKEN
from bagel.settings import (
    DEFAULT_MAX_THINK_TOKENS,
    DEFAULT_MAX_TOKENS,
    DecodeSettings,
    Guidance,
    ModelLimits,
    Renorm,
    SamplerSettings,
    check_output_size,
)
from services.gateway.prompts import Picture, Segment, Text, message_segments, negative_text
from services.gateway.sampling_defaults import NO_DEFAULTS, SamplingDefaults
from services.gateway.schemas import ChatRequest, GuidanceFields, TextPart

RANDOM_SEED_BITS = 32
_PICTURE_FIELDS = (
    "height", "width", "num_inference_steps", "negative_prompt", "cfg_text_scale", "cfg_img_scale", "cfg_interval",
    "cfg_renorm_type", "cfg_renorm_min", "timestep_shift", "output_format",
)  # fmt: skip
_GUIDANCE_FIELDS = ("negative_prompt", "cfg_img_scale", "cfg_interval", "cfg_renorm_type", "cfg_renorm_min")
_WRITING_FIELDS = (
    "max_tokens", "max_completion_tokens", "max_think_tokens", "temperature", "top_p", "top_k", "repetition_penalty",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request, ready for the stages. `decode` is set when text is written, `sampler` when a picture is made."""

    output: Output
    segments: tuple[Segment, ...]
    images: tuple[bytes, ...]  # encoded, as sent
    think: bool
    seed: int
    decode: DecodeSettings | None
    sampler: SamplerSettings | None
    negative_prompt: str | None
    size: tuple[int, int] | None  # height, width
    output_format: str
    quality: int = 0  # of JPEG and WebP, 1 to 100; 0 is the DiT's own
    count: int = 1
    previews: int = 0
    ignored: tuple[str, ...]  # fields that were sent and mean nothing for this task

    @property
    def name(self) -> str:
        """`text2img` and the like."""
        source = "img" if self.images else "text"
        return f"{source}2{'img' if self.output is Output.IMAGE else 'text'}"

    @property
    def roles(self) -> tuple[Role, ...]:
        """Contexts that the guidance will evaluate besides gen."""
        if self.sampler is None:
            return ()
        guidance = self.sampler.guidance
        return ((Role.CFG_TEXT,) if guidance.needs_cfg_text else ()) + (
            (Role.CFG_IMG,) if guidance.needs_cfg_img else ()
        )


def make_task(
    request: ChatRequest, pictures: Sequence[bytes], limits: ModelLimits, defaults: SamplingDefaults = NO_DEFAULTS
) -> Task:
    """Resolve a request with its pictures, encoded, in order. Raises RequestError naming the field."""
    sent, request = request.model_fields_set, defaults.fill(request)
    output = Output.IMAGE if "image" in (request.modalities or ()) else Output.TEXT
    sampler = _sampler(request, limits.guidance(edits=bool(pictures)))
    size = _size(request, limits, edits=bool(pictures)) if output is Output.IMAGE else None
    segments = _segments(request)
    check_length(segments, limits, param="messages")
    seed = secrets.randbits(RANDOM_SEED_BITS) if request.seed is None else request.seed
    writes = output is Output.TEXT or request.think
    return Task(
        output=output,
        segments=tuple(segments),
        images=tuple(pictures),
        think=request.think,
        seed=seed,
        decode=_decode_settings(request, output, seed) if writes else None,
        sampler=sampler if output is Output.IMAGE else None,
        negative_prompt=negative_text(request.negative_prompt) if request.negative_prompt else None,
        size=size,
        output_format=request.output_format,
        ignored=_ignored(request, sent, output, sampler, writes=writes),
    )


def _segments(request: ChatRequest) -> list[Segment]:
    segments: list[Segment] = []
    count = 0
    for index, message in enumerate(request.messages):
        parts: list[str | Picture] = []
        for part in message.content:
            if isinstance(part, TextPart):
                parts.append(part.text)
            else:
                parts.append(Picture(count))
                count += 1
        segments += message_segments(parts, raw=request.raw_prompt, param=f"messages[{index}].content")
    if not segments:
        raise RequestError("messages: hold neither a text nor a picture", param="messages")
    if not any(isinstance(segment, Text) for segment in segments) and "image" not in (request.modalities or ()):
        raise RequestError("messages: a question about a picture needs a text", param="messages")
    return segments


def check_length(segments: list[Segment], limits: ModelLimits, *, param: str) -> None:
    """Refuse a text that no tokenizer could make fit, before one is tried on it. Raises RequestError."""
    characters = sum(len(segment.text) for segment in segments if isinstance(segment, Text))
    if characters > CHARACTERS_A_TOKEN.most * limits.max_context_tokens:
        raise RequestError(
            f"{param}: {characters} characters of text cannot fit into {limits.max_context_tokens} tokens of context",
            param=param,
        )


def _sampler(request: ChatRequest, default: Guidance) -> SamplerSettings:
    guidance = guidance_of(request, default, text_scale=request.cfg_text_scale)
    base = SamplerSettings()
    return SamplerSettings(
        num_timesteps=request.num_inference_steps or base.num_timesteps,
        timestep_shift=_or(request.timestep_shift, base.timestep_shift),
        guidance=guidance,
    )


def guidance_of(request: GuidanceFields, default: Guidance, *, text_scale: float | None) -> Guidance:
    """The guidance that was asked for, over the model's own for the task. Raises RequestError."""
    interval = default.interval if request.cfg_interval is None else tuple(request.cfg_interval)
    return Guidance(
        text_scale=_or(text_scale, default.text_scale),
        image_scale=_or(request.cfg_img_scale, default.image_scale),
        interval=(interval[0], interval[1]),
        renorm=default.renorm if request.cfg_renorm_type is None else Renorm(request.cfg_renorm_type),
        renorm_min=_or(request.cfg_renorm_min, default.renorm_min),
    )


def _size(request: ChatRequest, limits: ModelLimits, *, edits: bool) -> tuple[int, int] | None:
    if request.height is None and request.width is None and edits:
        return None
    if edits and (request.height is None or request.width is None):
        missing = "height" if request.height is None else "width"
        raise RequestError(f"{missing}: give both height and width of an edit, or neither", param=missing)
    height = limits.default_side_px if request.height is None else request.height
    width = limits.default_side_px if request.width is None else request.width
    check_output_size(limits, height=height, width=width)
    return height, width


def _decode_settings(request: ChatRequest, output: Output, seed: int) -> DecodeSettings:
    """Of the answer; of the thought when a picture is made."""
    if output is Output.IMAGE:
        most = request.max_think_tokens or DEFAULT_MAX_THINK_TOKENS
    else:
        asked = request.max_completion_tokens or request.max_tokens
        thinking = request.max_think_tokens or DEFAULT_MAX_THINK_TOKENS
        most = asked or (thinking if request.think else DEFAULT_MAX_TOKENS)
    return DecodeSettings(
        max_tokens=most,
        temperature=_or(request.temperature, 0.0),
        top_p=_or(request.top_p, 1.0),
        top_k=request.top_k or 0,
        repetition_penalty=_or(request.repetition_penalty, 1.0),
        seed=seed,
    )


def _ignored(
    request: ChatRequest, sent: Set[str], output: Output, sampler: SamplerSettings, *, writes: bool
) -> tuple[str, ...]:
    unused = set(_PICTURE_FIELDS if output is Output.TEXT else ("max_tokens", "max_completion_tokens"))
    unused |= set() if writes else set(_WRITING_FIELDS)
    unused |= set() if request.think else {"max_think_tokens"}
    if output is Output.IMAGE and not sampler.guidance.needs_cfg_text:
        unused |= set(_GUIDANCE_FIELDS)
    if request.negative_prompt is not None and negative_text(request.negative_prompt) is None:
        unused.add("negative_prompt")
    if not request.temperature:
        unused |= {"top_p", "top_k"}
    if output is Output.TEXT and (request.max_tokens or request.max_completion_tokens):
        unused.add("max_think_tokens")
    if request.max_tokens and request.max_completion_tokens:
        unused.add("max_tokens")
    return tuple(sorted(unused & sent))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
