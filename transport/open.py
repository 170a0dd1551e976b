"""Building a process's planes, best first."""

import secrets
import socket
from collections.abc import Sequence

from bagel.errors import ConfigError
from transport.base import DataPlane
from transport.configs import (
    MemoryConfig,
    MooncakeConfig,
    MooncakeStoreConfig,
    PlaneConfig,
    ShmConfig,
    ZeroMqConfig,
)
from transport.memory import MemoryHub, MemoryPlane
from transport.planes import Planes
from transport.shm import ShmPlane
from transport.zeromq import ZeroMqPlane

AUTO = ("shm", "zeromq")
NAMES = ("memory", "shm", "mooncake", "mooncake_store", "zeromq")


def open_planes(configs: Sequence[PlaneConfig], hub: MemoryHub) -> Planes:
    """The planes, in that order. Raises ConfigError."""
    return Planes([_open(config, hub) for config in configs])


def names_of(transport: str) -> tuple[str, ...]:
    """What `--transport` means: `auto`, a name, or several with commas, best first. Raises ConfigError."""
    if transport == "auto":
        return AUTO
    names = tuple(name.strip() for name in transport.split(","))
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"--transport {transport}: {name!r} is none of auto, {', '.join(NAMES)}")
    return names


def own_host() -> str:
    """The address of this host that packets to other hosts leave from. Raises ConfigError when there is none."""
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((somewhere, 9))  # sends nothing
                return str(probe.getsockname()[0])
        except OSError:
            continue
    raise ConfigError("this host has no route to others: name the address that they dial, --kv-advertise-host")


def _open(config: PlaneConfig, hub: MemoryHub) -> DataPlane:
    match config:
        case MemoryConfig():
            return MemoryPlane(hub, verify_always=config.verify_always)
        case ShmConfig():
            return ShmPlane(config.socket or f"@bagel-kv-{secrets.token_hex(8)}", verify_always=config.verify_always)
        case ZeroMqConfig():
            return ZeroMqPlane(config.bind, config.advertise_host, connections=config.connections)
        case MooncakeConfig():
            from transport.mooncake import MooncakePlane  # an extra

            return MooncakePlane(_host(config.host), protocol=config.protocol, device=config.device)
        case MooncakeStoreConfig():
            from transport.mooncake_store import MooncakeStorePlane  # an extra

            return MooncakeStorePlane(
                _host(config.host),
                master=config.master,
                metadata_server=config.metadata_server,
                protocol=config.protocol,
                segment_bytes=config.segment_bytes,
                buffer_bytes=config.buffer_bytes,
            )


def _host(host: str) -> str:
    return own_host() if host == "auto" else host
