from bagel.v1 import kv_pb2 as _kv_pb2
from bagel.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason

class GenerateTextRequest(_message.Message):
    __slots__ = ("request", "segments", "think", "decode")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    THINK_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    request: _kv_pb2.RequestId
    segments: _containers.RepeatedCompositeFieldContainer[_settings_pb2.Segment]
    think: bool
    decode: _settings_pb2.DecodeSettings
    def __init__(self, request: _Optional[_Union[_kv_pb2.RequestId, _Mapping]] = ..., segments: _Optional[_Iterable[_Union[_settings_pb2.Segment, _Mapping]]] = ..., think: bool = ..., decode: _Optional[_Union[_settings_pb2.DecodeSettings, _Mapping]] = ...) -> None: ...

class GenerateTextEvent(_message.Message):
    __slots__ = ("queued", "delta", "done")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    queued: Queued
    delta: TextDelta
    done: TextDone
    def __init__(self, queued: _Optional[_Union[Queued, _Mapping]] = ..., delta: _Optional[_Union[TextDelta, _Mapping]] = ..., done: _Optional[_Union[TextDone, _Mapping]] = ...) -> None: ...

class PrepareContextRequest(_message.Message):
    __slots__ = ("request", "segments", "think", "decode", "negative_prompt", "roles", "size")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    THINK_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    request: _kv_pb2.RequestId
    segments: _containers.RepeatedCompositeFieldContainer[_settings_pb2.Segment]
    think: bool
    decode: _settings_pb2.DecodeSettings
    negative_prompt: str
    roles: _containers.RepeatedScalarFieldContainer[_kv_pb2.Role]
    size: _settings_pb2.ImageSize
    def __init__(self, request: _Optional[_Union[_kv_pb2.RequestId, _Mapping]] = ..., segments: _Optional[_Iterable[_Union[_settings_pb2.Segment, _Mapping]]] = ..., think: bool = ..., decode: _Optional[_Union[_settings_pb2.DecodeSettings, _Mapping]] = ..., negative_prompt: _Optional[str] = ..., roles: _Optional[_Iterable[_Union[_kv_pb2.Role, str]]] = ..., size: _Optional[_Union[_settings_pb2.ImageSize, _Mapping]] = ...) -> None: ...

class PrepareContextEvent(_message.Message):
    __slots__ = ("queued", "handle", "delta", "prepared")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    PREPARED_FIELD_NUMBER: _ClassVar[int]
    queued: Queued
    handle: _kv_pb2.KvHandle
    delta: TextDelta
    prepared: Prepared
    def __init__(self, queued: _Optional[_Union[Queued, _Mapping]] = ..., handle: _Optional[_Union[_kv_pb2.KvHandle, _Mapping]] = ..., delta: _Optional[_Union[TextDelta, _Mapping]] = ..., prepared: _Optional[_Union[Prepared, _Mapping]] = ...) -> None: ...

class Queued(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class TextDelta(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class TextDone(_message.Message):
    __slots__ = ("text", "finish_reason", "work")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    text: str
    finish_reason: FinishReason
    work: ThinkerWork
    def __init__(self, text: _Optional[str] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., work: _Optional[_Union[ThinkerWork, _Mapping]] = ...) -> None: ...

class Prepared(_message.Message):
    __slots__ = ("thought", "finish_reason", "size", "unique_pages", "unique_bytes", "work")
    THOUGHT_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_PAGES_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    thought: str
    finish_reason: FinishReason
    size: _settings_pb2.ImageSize
    unique_pages: int
    unique_bytes: int
    work: ThinkerWork
    def __init__(self, thought: _Optional[str] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., size: _Optional[_Union[_settings_pb2.ImageSize, _Mapping]] = ..., unique_pages: _Optional[int] = ..., unique_bytes: _Optional[int] = ..., work: _Optional[_Union[ThinkerWork, _Mapping]] = ...) -> None: ...

class ThinkerWork(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "vit_passes", "vae_passes", "blocks", "prefill_tokens", "decode_steps", "page_copies", "planned_blocks", "queue_s", "prefill_s", "decode_s", "first_token_s")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    VIT_PASSES_FIELD_NUMBER: _ClassVar[int]
    VAE_PASSES_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    PREFILL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DECODE_STEPS_FIELD_NUMBER: _ClassVar[int]
    PAGE_COPIES_FIELD_NUMBER: _ClassVar[int]
    PLANNED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_S_FIELD_NUMBER: _ClassVar[int]
    PREFILL_S_FIELD_NUMBER: _ClassVar[int]
    DECODE_S_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_S_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    vit_passes: int
    vae_passes: int
    blocks: int
    prefill_tokens: int
    decode_steps: int
    page_copies: int
    planned_blocks: int
    queue_s: float
    prefill_s: float
    decode_s: float
    first_token_s: float
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., vit_passes: _Optional[int] = ..., vae_passes: _Optional[int] = ..., blocks: _Optional[int] = ..., prefill_tokens: _Optional[int] = ..., decode_steps: _Optional[int] = ..., page_copies: _Optional[int] = ..., planned_blocks: _Optional[int] = ..., queue_s: _Optional[float] = ..., prefill_s: _Optional[float] = ..., decode_s: _Optional[float] = ..., first_token_s: _Optional[float] = ...) -> None: ...
