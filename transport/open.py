"""Building a process's planes by name, best first."""

import secrets
from dataclasses import dataclass

from bagel.errors import ConfigError
from transport.base import DataPlane
from transport.memory import MemoryHub, MemoryPlane
from transport.planes import Planes
from transport.shm import ShmPlane
from transport.zeromq import ZeroMqPlane

AUTO = ("shm", "zeromq")
NAMES = ("memory", "shm", "zeromq")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """How a process moves pages. A reader needs the names alone."""

    names: tuple[str, ...] = AUTO
    zeromq_bind: str = "tcp://127.0.0.1:0"
    advertise_host: str | None = None
    shm_path: str | None = None  # None: a name that no file system knows
    verify_always: bool = False


def open_planes(config: TransportConfig, hub: MemoryHub) -> Planes:
    """The planes named, in that order. Raises ConfigError."""
    return Planes([_open(name, config, hub) for name in config.names])


def names_of(transport: str) -> tuple[str, ...]:
    """What `--transport` means: `auto`, a name, or several with commas, best first. Raises ConfigError."""
    if transport == "auto":
        return AUTO
    names = tuple(name.strip() for name in transport.split(","))
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"--transport {transport}: {name!r} is none of auto, {', '.join(NAMES)}")
    return names


def _open(name: str, config: TransportConfig, hub: MemoryHub) -> DataPlane:
    match name:
        case "memory":
            return MemoryPlane(hub, verify_always=config.verify_always)
        case "shm":
            path = config.shm_path or f"@bagel-kv-{secrets.token_hex(8)}"
            return ShmPlane(path, verify_always=config.verify_always)
        case "zeromq":
            return ZeroMqPlane(config.zeromq_bind, config.advertise_host)
        case _:
            raise ConfigError(f"transport {name!r} is none of {', '.join(NAMES)}")
