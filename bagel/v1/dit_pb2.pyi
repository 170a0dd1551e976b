from bagel.v1 import kv_pb2 as _kv_pb2
from bagel.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ImageFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMAGE_FORMAT_UNSPECIFIED: _ClassVar[ImageFormat]
    IMAGE_FORMAT_PNG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_JPEG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_WEBP: _ClassVar[ImageFormat]
IMAGE_FORMAT_UNSPECIFIED: ImageFormat
IMAGE_FORMAT_PNG: ImageFormat
IMAGE_FORMAT_JPEG: ImageFormat
IMAGE_FORMAT_WEBP: ImageFormat

class OutputSettings(_message.Message):
    __slots__ = ("format", "quality")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    format: ImageFormat
    quality: int
    def __init__(self, format: _Optional[_Union[ImageFormat, str]] = ..., quality: _Optional[int] = ...) -> None: ...

class PreviewSettings(_message.Message):
    __slots__ = ("count", "max_side_px")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_SIDE_PX_FIELD_NUMBER: _ClassVar[int]
    count: int
    max_side_px: int
    def __init__(self, count: _Optional[int] = ..., max_side_px: _Optional[int] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("request", "handle", "sampler", "seed", "n", "output", "previews")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    request: _kv_pb2.RequestId
    handle: _kv_pb2.KvHandle
    sampler: _settings_pb2.SamplerSettings
    seed: int
    n: int
    output: OutputSettings
    previews: PreviewSettings
    def __init__(self, request: _Optional[_Union[_kv_pb2.RequestId, _Mapping]] = ..., handle: _Optional[_Union[_kv_pb2.KvHandle, _Mapping]] = ..., sampler: _Optional[_Union[_settings_pb2.SamplerSettings, _Mapping]] = ..., seed: _Optional[int] = ..., n: _Optional[int] = ..., output: _Optional[_Union[OutputSettings, _Mapping]] = ..., previews: _Optional[_Union[PreviewSettings, _Mapping]] = ...) -> None: ...

class GenerateEvent(_message.Message):
    __slots__ = ("queued", "fetched", "step", "preview", "picture", "done")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    FETCHED_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    queued: DitQueued
    fetched: Fetched
    step: StepDone
    preview: Preview
    picture: Picture
    done: DitDone
    def __init__(self, queued: _Optional[_Union[DitQueued, _Mapping]] = ..., fetched: _Optional[_Union[Fetched, _Mapping]] = ..., step: _Optional[_Union[StepDone, _Mapping]] = ..., preview: _Optional[_Union[Preview, _Mapping]] = ..., picture: _Optional[_Union[Picture, _Mapping]] = ..., done: _Optional[_Union[DitDone, _Mapping]] = ...) -> None: ...

class DitQueued(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class Fetched(_message.Message):
    __slots__ = ("bytes", "pages", "transfer_s", "transport", "unique_bytes", "wait_s", "overlap")
    BYTES_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_S_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    pages: int
    transfer_s: float
    transport: str
    unique_bytes: int
    wait_s: float
    overlap: float
    def __init__(self, bytes: _Optional[int] = ..., pages: _Optional[int] = ..., transfer_s: _Optional[float] = ..., transport: _Optional[str] = ..., unique_bytes: _Optional[int] = ..., wait_s: _Optional[float] = ..., overlap: _Optional[float] = ...) -> None: ...

class StepDone(_message.Message):
    __slots__ = ("picture", "done", "total", "t")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    picture: int
    done: int
    total: int
    t: float
    def __init__(self, picture: _Optional[int] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., t: _Optional[float] = ...) -> None: ...

class Preview(_message.Message):
    __slots__ = ("picture", "step", "data", "format", "size")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    picture: int
    step: int
    data: bytes
    format: ImageFormat
    size: _settings_pb2.ImageSize
    def __init__(self, picture: _Optional[int] = ..., step: _Optional[int] = ..., data: _Optional[bytes] = ..., format: _Optional[_Union[ImageFormat, str]] = ..., size: _Optional[_Union[_settings_pb2.ImageSize, _Mapping]] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("index", "data", "format", "size", "seed")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    index: int
    data: bytes
    format: ImageFormat
    size: _settings_pb2.ImageSize
    seed: int
    def __init__(self, index: _Optional[int] = ..., data: _Optional[bytes] = ..., format: _Optional[_Union[ImageFormat, str]] = ..., size: _Optional[_Union[_settings_pb2.ImageSize, _Mapping]] = ..., seed: _Optional[int] = ...) -> None: ...

class DitDone(_message.Message):
    __slots__ = ("forwards", "steps", "queue_s", "denoise_s", "decode_s", "encode_s", "preview_s", "load_s")
    FORWARDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_S_FIELD_NUMBER: _ClassVar[int]
    DENOISE_S_FIELD_NUMBER: _ClassVar[int]
    DECODE_S_FIELD_NUMBER: _ClassVar[int]
    ENCODE_S_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_S_FIELD_NUMBER: _ClassVar[int]
    LOAD_S_FIELD_NUMBER: _ClassVar[int]
    forwards: int
    steps: int
    queue_s: float
    denoise_s: float
    decode_s: float
    encode_s: float
    preview_s: float
    load_s: float
    def __init__(self, forwards: _Optional[int] = ..., steps: _Optional[int] = ..., queue_s: _Optional[float] = ..., denoise_s: _Optional[float] = ..., decode_s: _Optional[float] = ..., encode_s: _Optional[float] = ..., preview_s: _Optional[float] = ..., load_s: _Optional[float] = ...) -> None: ...
