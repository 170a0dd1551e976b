from bagel.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_KIND_UNSPECIFIED: _ClassVar[StageKind]
    STAGE_KIND_THINKER: _ClassVar[StageKind]
    STAGE_KIND_DIT: _ClassVar[StageKind]
STAGE_KIND_UNSPECIFIED: StageKind
STAGE_KIND_THINKER: StageKind
STAGE_KIND_DIT: StageKind

class Worker(_message.Message):
    __slots__ = ("worker_id", "kind", "address", "model_name", "model_hash", "boot_epoch", "epoch", "state", "load")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    BOOT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    kind: StageKind
    address: str
    model_name: str
    model_hash: str
    boot_epoch: int
    epoch: int
    state: _settings_pb2.StageState
    load: Load
    def __init__(self, worker_id: _Optional[str] = ..., kind: _Optional[_Union[StageKind, str]] = ..., address: _Optional[str] = ..., model_name: _Optional[str] = ..., model_hash: _Optional[str] = ..., boot_epoch: _Optional[int] = ..., epoch: _Optional[int] = ..., state: _Optional[_Union[_settings_pb2.StageState, str]] = ..., load: _Optional[_Union[Load, _Mapping]] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("running", "queued", "free_pages")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    FREE_PAGES_FIELD_NUMBER: _ClassVar[int]
    running: int
    queued: int
    free_pages: int
    def __init__(self, running: _Optional[int] = ..., queued: _Optional[int] = ..., free_pages: _Optional[int] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("hello", "heartbeat")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    hello: JoinHello
    heartbeat: Heartbeat
    def __init__(self, hello: _Optional[_Union[JoinHello, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class JoinHello(_message.Message):
    __slots__ = ("worker", "protocol_version", "join_token")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    JOIN_TOKEN_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    protocol_version: int
    join_token: str
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ..., protocol_version: _Optional[int] = ..., join_token: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("epoch", "state", "load")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    state: _settings_pb2.StageState
    load: Load
    def __init__(self, epoch: _Optional[int] = ..., state: _Optional[_Union[_settings_pb2.StageState, str]] = ..., load: _Optional[_Union[Load, _Mapping]] = ...) -> None: ...

class JoinEvent(_message.Message):
    __slots__ = ("joined",)
    JOINED_FIELD_NUMBER: _ClassVar[int]
    joined: Joined
    def __init__(self, joined: _Optional[_Union[Joined, _Mapping]] = ...) -> None: ...

class Joined(_message.Message):
    __slots__ = ("epoch", "heartbeat_s")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    heartbeat_s: float
    def __init__(self, epoch: _Optional[int] = ..., heartbeat_s: _Optional[float] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("join_token",)
    JOIN_TOKEN_FIELD_NUMBER: _ClassVar[int]
    join_token: str
    def __init__(self, join_token: _Optional[str] = ...) -> None: ...

class WatchEvent(_message.Message):
    __slots__ = ("snapshot", "changed", "left")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    snapshot: bool
    changed: _containers.RepeatedCompositeFieldContainer[Worker]
    left: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, snapshot: bool = ..., changed: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ..., left: _Optional[_Iterable[str]] = ...) -> None: ...
