from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[DType]
    DTYPE_FLOAT32: _ClassVar[DType]
    DTYPE_BFLOAT16: _ClassVar[DType]

class Axis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AXIS_UNSPECIFIED: _ClassVar[Axis]
    AXIS_KV_HEAD: _ClassVar[Axis]
    AXIS_LAYER: _ClassVar[Axis]
    AXIS_KEY_VALUE: _ClassVar[Axis]
    AXIS_TOKEN: _ClassVar[Axis]
    AXIS_DIM: _ClassVar[Axis]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_GEN: _ClassVar[Role]
    ROLE_CFG_TEXT: _ClassVar[Role]
    ROLE_CFG_IMG: _ClassVar[Role]
DTYPE_UNSPECIFIED: DType
DTYPE_FLOAT32: DType
DTYPE_BFLOAT16: DType
AXIS_UNSPECIFIED: Axis
AXIS_KV_HEAD: Axis
AXIS_LAYER: Axis
AXIS_KEY_VALUE: Axis
AXIS_TOKEN: Axis
AXIS_DIM: Axis
ROLE_UNSPECIFIED: Role
ROLE_GEN: Role
ROLE_CFG_TEXT: Role
ROLE_CFG_IMG: Role

class RequestId(_message.Message):
    __slots__ = ("id", "attempt")
    ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    id: str
    attempt: int
    def __init__(self, id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class KvLayout(_message.Message):
    __slots__ = ("dtype", "axes", "shape", "strides_bytes", "page_stride_bytes", "shard")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    STRIDES_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAGE_STRIDE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    dtype: DType
    axes: _containers.RepeatedScalarFieldContainer[Axis]
    shape: _containers.RepeatedScalarFieldContainer[int]
    strides_bytes: _containers.RepeatedScalarFieldContainer[int]
    page_stride_bytes: int
    shard: HeadShard
    def __init__(self, dtype: _Optional[_Union[DType, str]] = ..., axes: _Optional[_Iterable[_Union[Axis, str]]] = ..., shape: _Optional[_Iterable[int]] = ..., strides_bytes: _Optional[_Iterable[int]] = ..., page_stride_bytes: _Optional[int] = ..., shard: _Optional[_Union[HeadShard, _Mapping]] = ...) -> None: ...

class HeadShard(_message.Message):
    __slots__ = ("first_head", "num_heads")
    FIRST_HEAD_FIELD_NUMBER: _ClassVar[int]
    NUM_HEADS_FIELD_NUMBER: _ClassVar[int]
    first_head: int
    num_heads: int
    def __init__(self, first_head: _Optional[int] = ..., num_heads: _Optional[int] = ...) -> None: ...

class DataEndpoint(_message.Message):
    __slots__ = ("transport", "address", "secure")
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SECURE_FIELD_NUMBER: _ClassVar[int]
    transport: str
    address: str
    secure: bool
    def __init__(self, transport: _Optional[str] = ..., address: _Optional[str] = ..., secure: bool = ...) -> None: ...

class KvHandle(_message.Message):
    __slots__ = ("handle_id", "request", "epoch", "control_address", "data_endpoints", "layout", "read_token", "max_pages")
    HANDLE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CONTROL_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DATA_ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    READ_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGES_FIELD_NUMBER: _ClassVar[int]
    handle_id: str
    request: RequestId
    epoch: int
    control_address: str
    data_endpoints: _containers.RepeatedCompositeFieldContainer[DataEndpoint]
    layout: KvLayout
    read_token: bytes
    max_pages: int
    def __init__(self, handle_id: _Optional[str] = ..., request: _Optional[_Union[RequestId, _Mapping]] = ..., epoch: _Optional[int] = ..., control_address: _Optional[str] = ..., data_endpoints: _Optional[_Iterable[_Union[DataEndpoint, _Mapping]]] = ..., layout: _Optional[_Union[KvLayout, _Mapping]] = ..., read_token: _Optional[bytes] = ..., max_pages: _Optional[int] = ...) -> None: ...

class PageRun(_message.Message):
    __slots__ = ("start", "count")
    START_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    start: int
    count: int
    def __init__(self, start: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class SealedContext(_message.Message):
    __slots__ = ("roles", "runs", "tokens", "rope")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    ROPE_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[Role]
    runs: _containers.RepeatedCompositeFieldContainer[PageRun]
    tokens: int
    rope: int
    def __init__(self, roles: _Optional[_Iterable[_Union[Role, str]]] = ..., runs: _Optional[_Iterable[_Union[PageRun, _Mapping]]] = ..., tokens: _Optional[int] = ..., rope: _Optional[int] = ...) -> None: ...

class Sealed(_message.Message):
    __slots__ = ("contexts", "output_height", "output_width", "unique_pages")
    CONTEXTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_WIDTH_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_PAGES_FIELD_NUMBER: _ClassVar[int]
    contexts: _containers.RepeatedCompositeFieldContainer[SealedContext]
    output_height: int
    output_width: int
    unique_pages: int
    def __init__(self, contexts: _Optional[_Iterable[_Union[SealedContext, _Mapping]]] = ..., output_height: _Optional[int] = ..., output_width: _Optional[int] = ..., unique_pages: _Optional[int] = ...) -> None: ...

class PagesReady(_message.Message):
    __slots__ = ("runs", "digests", "generations", "inline")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[PageRun]
    digests: _containers.RepeatedScalarFieldContainer[int]
    generations: _containers.RepeatedScalarFieldContainer[int]
    inline: bytes
    def __init__(self, runs: _Optional[_Iterable[_Union[PageRun, _Mapping]]] = ..., digests: _Optional[_Iterable[int]] = ..., generations: _Optional[_Iterable[int]] = ..., inline: _Optional[bytes] = ...) -> None: ...

class ReadRequest(_message.Message):
    __slots__ = ("handle_id", "epoch", "request", "read_token", "digests", "inline_below")
    HANDLE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    READ_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    INLINE_BELOW_FIELD_NUMBER: _ClassVar[int]
    handle_id: str
    epoch: int
    request: RequestId
    read_token: bytes
    digests: bool
    inline_below: int
    def __init__(self, handle_id: _Optional[str] = ..., epoch: _Optional[int] = ..., request: _Optional[_Union[RequestId, _Mapping]] = ..., read_token: _Optional[bytes] = ..., digests: bool = ..., inline_below: _Optional[int] = ...) -> None: ...

class Granted(_message.Message):
    __slots__ = ("data_token",)
    DATA_TOKEN_FIELD_NUMBER: _ClassVar[int]
    data_token: bytes
    def __init__(self, data_token: _Optional[bytes] = ...) -> None: ...

class ReadEvent(_message.Message):
    __slots__ = ("granted", "pages_ready", "sealed")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    PAGES_READY_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    granted: Granted
    pages_ready: PagesReady
    sealed: Sealed
    def __init__(self, granted: _Optional[_Union[Granted, _Mapping]] = ..., pages_ready: _Optional[_Union[PagesReady, _Mapping]] = ..., sealed: _Optional[_Union[Sealed, _Mapping]] = ...) -> None: ...
