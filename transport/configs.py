"""How each data plane of a process is set up. Frozen; a reader and a holder take the same."""

from dataclasses import dataclass

INLINE_BYTES = 65_536  # pages that are together no larger travel with their announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Within one process."""

    verify_always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShmConfig:
    """On one host. `socket` is a path, or None for a name outside the file system."""

    socket: str | None = None
    verify_always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroMqConfig:
    """Wherever a socket works. `bind` is `tcp://host:port` (port 0: any) or `ipc://path`."""

    bind: str = "tcp://127.0.0.1:0"
    advertise_host: str | None = None
    connections: int | None = None  # to a holder; None: by the number of cores


@dataclass(frozen=True, slots=True, kw_only=True)
class MooncakeConfig:
    """Mooncake's Transfer Engine. `host` is what other hosts dial, `auto` the address of the default route."""

    host: str = "auto"
    protocol: str = "tcp"
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MooncakeStoreConfig:
    """Mooncake's store, for compatibility. Sizes in bytes."""

    host: str = "auto"
    master: str = "127.0.0.1:50051"
    metadata_server: str = "http://127.0.0.1:8080/metadata"
    protocol: str = "tcp"
    segment_bytes: int = 512_000_000
    buffer_bytes: int = 64_000_000


PlaneConfig = MemoryConfig | ShmConfig | ZeroMqConfig | MooncakeConfig | MooncakeStoreConfig
