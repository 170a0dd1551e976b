from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Renorm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RENORM_UNSPECIFIED: _ClassVar[Renorm]
    RENORM_GLOBAL: _ClassVar[Renorm]
    RENORM_CHANNEL: _ClassVar[Renorm]
    RENORM_TEXT_CHANNEL: _ClassVar[Renorm]

class StageState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_STATE_UNSPECIFIED: _ClassVar[StageState]
    STAGE_STATE_LOADING: _ClassVar[StageState]
    STAGE_STATE_READY: _ClassVar[StageState]
    STAGE_STATE_DRAINING: _ClassVar[StageState]
    STAGE_STATE_FAILED: _ClassVar[StageState]
RENORM_UNSPECIFIED: Renorm
RENORM_GLOBAL: Renorm
RENORM_CHANNEL: Renorm
RENORM_TEXT_CHANNEL: Renorm
STAGE_STATE_UNSPECIFIED: StageState
STAGE_STATE_LOADING: StageState
STAGE_STATE_READY: StageState
STAGE_STATE_DRAINING: StageState
STAGE_STATE_FAILED: StageState

class Guidance(_message.Message):
    __slots__ = ("text_scale", "image_scale", "interval_low", "interval_high", "renorm", "renorm_min")
    TEXT_SCALE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SCALE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LOW_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_HIGH_FIELD_NUMBER: _ClassVar[int]
    RENORM_FIELD_NUMBER: _ClassVar[int]
    RENORM_MIN_FIELD_NUMBER: _ClassVar[int]
    text_scale: float
    image_scale: float
    interval_low: float
    interval_high: float
    renorm: Renorm
    renorm_min: float
    def __init__(self, text_scale: _Optional[float] = ..., image_scale: _Optional[float] = ..., interval_low: _Optional[float] = ..., interval_high: _Optional[float] = ..., renorm: _Optional[_Union[Renorm, str]] = ..., renorm_min: _Optional[float] = ...) -> None: ...

class SamplerSettings(_message.Message):
    __slots__ = ("num_timesteps", "timestep_shift", "guidance")
    NUM_TIMESTEPS_FIELD_NUMBER: _ClassVar[int]
    TIMESTEP_SHIFT_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    num_timesteps: int
    timestep_shift: float
    guidance: Guidance
    def __init__(self, num_timesteps: _Optional[int] = ..., timestep_shift: _Optional[float] = ..., guidance: _Optional[_Union[Guidance, _Mapping]] = ...) -> None: ...

class DecodeSettings(_message.Message):
    __slots__ = ("max_tokens", "temperature", "top_p", "seed", "top_k", "repetition_penalty")
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    top_k: int
    repetition_penalty: float
    def __init__(self, max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., seed: _Optional[int] = ..., top_k: _Optional[int] = ..., repetition_penalty: _Optional[float] = ...) -> None: ...

class ImageSize(_message.Message):
    __slots__ = ("height", "width")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class EncodedImage(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("text", "image")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    text: TextSegment
    image: EncodedImage
    def __init__(self, text: _Optional[_Union[TextSegment, _Mapping]] = ..., image: _Optional[_Union[EncodedImage, _Mapping]] = ...) -> None: ...

class TextSegment(_message.Message):
    __slots__ = ("text", "raw")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    text: str
    raw: bool
    def __init__(self, text: _Optional[str] = ..., raw: bool = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("name", "model_hash", "token_pixels", "max_side_px", "max_context_tokens", "dtype", "device", "server_version", "default_side_px", "text2img_guidance", "img2img_guidance", "tasks")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    TOKEN_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_SIDE_PX_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SIDE_PX_FIELD_NUMBER: _ClassVar[int]
    TEXT2IMG_GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    IMG2IMG_GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    name: str
    model_hash: str
    token_pixels: int
    max_side_px: int
    max_context_tokens: int
    dtype: str
    device: str
    server_version: str
    default_side_px: int
    text2img_guidance: Guidance
    img2img_guidance: Guidance
    tasks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., model_hash: _Optional[str] = ..., token_pixels: _Optional[int] = ..., max_side_px: _Optional[int] = ..., max_context_tokens: _Optional[int] = ..., dtype: _Optional[str] = ..., device: _Optional[str] = ..., server_version: _Optional[str] = ..., default_side_px: _Optional[int] = ..., text2img_guidance: _Optional[_Union[Guidance, _Mapping]] = ..., img2img_guidance: _Optional[_Union[Guidance, _Mapping]] = ..., tasks: _Optional[_Iterable[str]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StageStatus(_message.Message):
    __slots__ = ("state", "detail", "model", "epoch", "total_pages", "free_pages", "running", "queued", "leases", "grants", "peak_memory_bytes", "loaded_bytes", "total_bytes", "device_busy_s")
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_PAGES_FIELD_NUMBER: _ClassVar[int]
    FREE_PAGES_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOADED_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_BUSY_S_FIELD_NUMBER: _ClassVar[int]
    state: StageState
    detail: str
    model: ModelInfo
    epoch: int
    total_pages: int
    free_pages: int
    running: int
    queued: int
    leases: int
    grants: int
    peak_memory_bytes: int
    loaded_bytes: int
    total_bytes: int
    device_busy_s: float
    def __init__(self, state: _Optional[_Union[StageState, str]] = ..., detail: _Optional[str] = ..., model: _Optional[_Union[ModelInfo, _Mapping]] = ..., epoch: _Optional[int] = ..., total_pages: _Optional[int] = ..., free_pages: _Optional[int] = ..., running: _Optional[int] = ..., queued: _Optional[int] = ..., leases: _Optional[int] = ..., grants: _Optional[int] = ..., peak_memory_bytes: _Optional[int] = ..., loaded_bytes: _Optional[int] = ..., total_bytes: _Optional[int] = ..., device_busy_s: _Optional[float] = ...) -> None: ...
