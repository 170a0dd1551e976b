"""Protos <-> our own types, both ways, once. Used by servicers, clients and handles only; no torch."""

from collections.abc import Iterable
from typing import TypeVar

from bagel.contexts import Role
from bagel.errors import ConfigError, IncompleteContextError, RequestError
from bagel.kv_layout import DTYPE_BYTES, KvLayout, KvMemory, PageRun
from bagel.settings import (
    EDIT_GUIDANCE,
    TEXT_TO_IMAGE_GUIDANCE,
    DecodeSettings,
    Guidance,
    ModelLimits,
    Renorm,
    SamplerSettings,
)
from bagel.v1 import dit_pb2, kv_pb2, settings_pb2, thinker_pb2

K = TypeVar("K")
V = TypeVar("V")

_RENORMS = {
    Renorm.GLOBAL: settings_pb2.RENORM_GLOBAL,
    Renorm.CHANNEL: settings_pb2.RENORM_CHANNEL,
    Renorm.TEXT_CHANNEL: settings_pb2.RENORM_TEXT_CHANNEL,
}
_ROLES = {Role.GEN: kv_pb2.ROLE_GEN, Role.CFG_TEXT: kv_pb2.ROLE_CFG_TEXT, Role.CFG_IMG: kv_pb2.ROLE_CFG_IMG}
_DTYPES = {"float32": kv_pb2.DTYPE_FLOAT32, "bfloat16": kv_pb2.DTYPE_BFLOAT16}
_AXES = (kv_pb2.AXIS_KV_HEAD, kv_pb2.AXIS_LAYER, kv_pb2.AXIS_KEY_VALUE, kv_pb2.AXIS_TOKEN, kv_pb2.AXIS_DIM)
_FORMATS = {
    "png": dit_pb2.IMAGE_FORMAT_PNG,
    "jpeg": dit_pb2.IMAGE_FORMAT_JPEG,
    "webp": dit_pb2.IMAGE_FORMAT_WEBP,
}
_REASONS = {"stop": thinker_pb2.FINISH_REASON_STOP, "length": thinker_pb2.FINISH_REASON_LENGTH}


def sampler_to_proto(settings: SamplerSettings) -> settings_pb2.SamplerSettings:
    """SamplerSettings as a message."""
    return settings_pb2.SamplerSettings(
        num_timesteps=settings.num_timesteps,
        timestep_shift=settings.timestep_shift,
        guidance=guidance_to_proto(settings.guidance),
    )


def sampler_from_proto(message: settings_pb2.SamplerSettings) -> SamplerSettings:
    """A message as SamplerSettings. Raises RequestError for anything out of bounds."""
    return SamplerSettings(
        num_timesteps=message.num_timesteps,
        timestep_shift=message.timestep_shift,
        guidance=guidance_from_proto(message.guidance, "sampler.guidance"),
    )


def guidance_to_proto(guidance: Guidance) -> settings_pb2.Guidance:
    """Guidance as a message."""
    return settings_pb2.Guidance(
        text_scale=guidance.text_scale,
        image_scale=guidance.image_scale,
        interval_low=guidance.interval[0],
        interval_high=guidance.interval[1],
        renorm=_RENORMS[guidance.renorm],
        renorm_min=guidance.renorm_min,
    )


def guidance_from_proto(message: settings_pb2.Guidance, param: str) -> Guidance:
    """A message as Guidance. Raises RequestError for anything out of bounds."""
    return Guidance(
        text_scale=message.text_scale,
        image_scale=message.image_scale,
        interval=(message.interval_low, message.interval_high),
        renorm=_known(_RENORMS, message.renorm, f"{param}.renorm"),
        renorm_min=message.renorm_min,
    )


def decode_to_proto(settings: DecodeSettings) -> settings_pb2.DecodeSettings:
    """DecodeSettings as a message."""
    return settings_pb2.DecodeSettings(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        seed=settings.seed,
    )


def decode_from_proto(message: settings_pb2.DecodeSettings) -> DecodeSettings:
    """A message as DecodeSettings. Raises RequestError for anything out of bounds."""
    return DecodeSettings(
        max_tokens=message.max_tokens,
        temperature=message.temperature,
        top_p=message.top_p,
        top_k=message.top_k,
        repetition_penalty=message.repetition_penalty if message.HasField("repetition_penalty") else 1.0,
        seed=message.seed,
    )


def limits_from_proto(message: settings_pb2.ModelInfo) -> ModelLimits:
    """What a stage says its model can do; guidance that it says nothing about is the official one."""
    drawing, editing = TEXT_TO_IMAGE_GUIDANCE, EDIT_GUIDANCE
    if message.HasField("text2img_guidance"):
        drawing = guidance_from_proto(message.text2img_guidance, "model.text2img_guidance")
    if message.HasField("img2img_guidance"):
        editing = guidance_from_proto(message.img2img_guidance, "model.img2img_guidance")
    return ModelLimits(
        token_pixels=message.token_pixels,
        max_side_px=message.max_side_px,
        default_side_px=message.default_side_px,
        max_context_tokens=message.max_context_tokens,
        text2img_guidance=drawing,
        img2img_guidance=editing,
    )


def roles_to_proto(roles: Iterable[Role]) -> list[kv_pb2.Role]:
    """Roles as enum values."""
    return [_ROLES[role] for role in roles]


def roles_from_proto(values: Iterable[kv_pb2.Role], param: str) -> tuple[Role, ...]:
    """Enum values as roles. Raises RequestError for an unknown one."""
    return tuple(_known(_ROLES, value, param) for value in values)


def layout_to_proto(layout: KvLayout) -> kv_pb2.KvLayout:
    """A pool's layout as a message, its pages lying in order."""
    return memory_to_proto(KvMemory.in_order(layout))


def memory_to_proto(memory: KvMemory) -> kv_pb2.KvLayout:
    """A layout that lies in memory in some way, as a message."""
    page, *inner = memory.strides
    return kv_pb2.KvLayout(
        dtype=_DTYPES[memory.layout.dtype],
        axes=_AXES,
        shape=memory.layout.page_shape,
        strides_bytes=inner,
        page_stride_bytes=page,
    )


def memory_from_proto(message: kv_pb2.KvLayout) -> KvMemory:
    """A message as a layout and its strides, axes in any order. Raises IncompleteContextError when it is impossible."""
    counts = {len(message.axes), len(message.shape), len(message.strides_bytes)}
    if sorted(message.axes) != sorted(_AXES) or counts != {len(_AXES)} or message.HasField("shard"):
        raise IncompleteContextError("the KV pages are laid out in a way that this version cannot read")
    shape = dict(zip(message.axes, message.shape, strict=True))
    strides = dict(zip(message.axes, message.strides_bytes, strict=True))
    heads, layers, pairs, page_tokens, dim = (shape[axis] for axis in _AXES)
    try:
        dtype = _known(_DTYPES, message.dtype, "handle.layout.dtype")
        layout = KvLayout(num_layers=layers, num_kv_heads=heads, head_dim=dim, page_tokens=page_tokens, dtype=dtype)
    except (RequestError, ConfigError) as error:
        raise IncompleteContextError(f"the layout of the KV pages is impossible: {error}") from error
    found = (message.page_stride_bytes, *(strides[axis] for axis in _AXES))
    if pairs != 2 or min(message.shape) < 1 or any(s < 1 or s % DTYPE_BYTES[dtype] for s in found):
        raise IncompleteContextError(f"the layout of the KV pages is impossible: shape {shape}, strides {found}")
    return KvMemory(layout, found)  # type: ignore[arg-type]


def runs_to_proto(runs: Iterable[PageRun]) -> list[kv_pb2.PageRun]:
    """Page runs as messages."""
    return [kv_pb2.PageRun(start=run.start, count=run.count) for run in runs]


def runs_from_proto(messages: Iterable[kv_pb2.PageRun]) -> list[PageRun]:
    """Messages as page runs."""
    return [PageRun(message.start, message.count) for message in messages]


def format_to_proto(name: str) -> dit_pb2.ImageFormat:
    """`png`, `jpeg` or `webp` as an enum value."""
    return _FORMATS[name]


def format_from_proto(value: dit_pb2.ImageFormat) -> str:
    """An enum value as a name; unspecified means png. Raises RequestError."""
    return "png" if value == dit_pb2.IMAGE_FORMAT_UNSPECIFIED else _known(_FORMATS, value, "output.format")


def reason_to_proto(reason: str | None) -> thinker_pb2.FinishReason:
    """`stop`, `length` or nothing as an enum value."""
    return _REASONS[reason] if reason else thinker_pb2.FINISH_REASON_UNSPECIFIED


def reason_from_proto(value: thinker_pb2.FinishReason) -> str:
    """Why text ended, in OpenAI's words."""
    return "length" if value == thinker_pb2.FINISH_REASON_LENGTH else "stop"


def _known(names: dict[K, V], value: V, param: str) -> K:
    for name, number in names.items():
        if number == value:
            return name
    raise RequestError(f"{param}: {value} is no known value", param=param)
