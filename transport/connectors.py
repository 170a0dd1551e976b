"""The `connectors:` part of a deploy file: named ways to move pages, and which stages use which.

    connectors:
      fast: {name: SharedMemoryConnector, extra: {shm_threshold_bytes: 65536}}
      far: {name: ZeroMQConnector, extra: {bind: "tcp://0.0.0.0:0", advertise_host: 10.0.0.5}}
    stages:
      - {stage_id: 0, output_connectors: {to_stage_1: [fast, far]}}
      - {stage_id: 1, input_connectors: {from_stage_0: [fast, far]}}

One connector or a list, best first. Unknown keys are refused; keys of other systems that mean nothing here are named in
a warning with what takes their place.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bagel.errors import ConfigError
from bagel.logs import get_logger
from transport.configs import INLINE_BYTES, MooncakeConfig, MooncakeStoreConfig, PlaneConfig, ShmConfig, ZeroMqConfig

Port = Annotated[int, Field(ge=0, le=65535)]
Bytes = Annotated[int, Field(ge=0)]


class _Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Shm(_Extra):
    shm_threshold_bytes: Bytes = INLINE_BYTES
    socket: str | None = None
    verify: Literal["auto", "always"] = "auto"

    def plane(self) -> PlaneConfig:
        return ShmConfig(socket=self.socket, verify_always=self.verify == "always")


class _ZeroMq(_Extra):
    bind: str = "tcp://127.0.0.1:0"
    advertise_host: str | None = None
    connections: Annotated[int, Field(ge=1, le=16)] | None = None
    shm_threshold_bytes: Bytes = INLINE_BYTES

    def plane(self) -> PlaneConfig:
        return ZeroMqConfig(bind=self.bind, advertise_host=self.advertise_host, connections=self.connections)


class _Mooncake(_Extra):
    host: str = "auto"
    protocol: Literal["rdma", "tcp"] = "rdma"
    device_name: str = ""
    shm_threshold_bytes: Bytes = INLINE_BYTES

    def plane(self) -> PlaneConfig:
        return MooncakeConfig(host=self.host, protocol=self.protocol, device=self.device_name)


class _MooncakeStore(_Extra):
    host: str = "auto"
    metadata_server: str
    master: str
    segment: Bytes = 512_000_000
    localbuf: Bytes = 64_000_000
    proto: Literal["rdma", "tcp"] = "tcp"
    shm_threshold_bytes: Bytes = INLINE_BYTES

    def plane(self) -> PlaneConfig:
        return MooncakeStoreConfig(
            host=self.host, master=self.master, metadata_server=self.metadata_server, protocol=self.proto,
            segment_bytes=self.segment, buffer_bytes=self.localbuf,
        )  # fmt: skip


_KINDS: dict[str, type[_Shm] | type[_ZeroMq] | type[_Mooncake] | type[_MooncakeStore]] = {
    "SharedMemoryConnector": _Shm,
    "ZeroMQConnector": _ZeroMq,
    "MooncakeTransferEngineConnector": _Mooncake,
    "MooncakeStoreConnector": _MooncakeStore,
}
# Of the same connectors elsewhere: what takes their place here.
_MEANINGLESS = {
    "zmq_port": "control travels over the Thinker's gRPC port",
    "memory_pool_size": "the pool's size is --kv-pool-tokens",
    "memory_pool_device": "the pool lies where transfers can reach it",
}


@dataclass(frozen=True, slots=True)
class StageConnectors:
    """The planes of one stage, best first, and how many bytes of pages travel with their announcement."""

    planes: tuple[PlaneConfig, ...]
    inline_bytes: int


def read_connectors(path: Path, stage_id: int) -> StageConnectors | None:
    """What a deploy file says of a stage's connectors; None when nothing. Raises ConfigError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must be a mapping with connectors and stages")
    try:
        return stage_connectors(document, stage_id)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def stage_connectors(document: Mapping[str, Any], stage_id: int) -> StageConnectors | None:
    """As `read_connectors`, of a parsed file."""
    check_keys(document, ("connectors", "stages"), "the file")
    named = document.get("connectors") or {}
    stage = next((s for s in document.get("stages") or () if s.get("stage_id") == stage_id), None)
    if stage is None:
        return None
    check_keys(stage, ("stage_id", "input_connectors", "output_connectors"), f"stage {stage_id}")
    edges = {**(stage.get("input_connectors") or {}), **(stage.get("output_connectors") or {})}
    wanted = [name for value in edges.values() for name in ([value] if isinstance(value, str) else value)]
    if not wanted:
        return None
    extras = [_extra(name, named, f"stage {stage_id}") for name in dict.fromkeys(wanted)]
    return StageConnectors(tuple(e.plane() for e in extras), max(e.shm_threshold_bytes for e in extras))


def check_keys(mapping: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raise ConfigError for a key that is not known, naming the nearest that is."""
    for key in mapping:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise ConfigError(f"{where} has an unknown key {key!r}{hint}")


def _extra(name: str, named: Mapping[str, Any], where: str) -> _Shm | _ZeroMq | _Mooncake | _MooncakeStore:
    if name not in named:
        raise ConfigError(f"{where} uses the connector {name!r}, which is not defined under connectors")
    entry = named[name]
    if not isinstance(entry, dict):
        raise ConfigError(f"connectors.{name} must be a mapping with name and extra")
    check_keys(entry, ("name", "extra"), f"connectors.{name}")
    if entry.get("name") not in _KINDS:
        raise ConfigError(f"connectors.{name}.name is {entry.get('name')!r}; known are {', '.join(_KINDS)}")
    kind, extra = _KINDS[entry["name"]], dict(entry.get("extra") or {})
    for key in [key for key in extra if key in _MEANINGLESS]:
        get_logger().warning("connector_key_ignored", connector=name, key=key, instead=_MEANINGLESS[key])
        del extra[key]
    check_keys(extra, tuple(kind.model_fields), f"connectors.{name}.extra")
    try:
        return kind.model_validate(extra)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"connectors.{name}.extra.{key}: {first['msg']}") from None
