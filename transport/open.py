"""Choosing a transport by name."""

from bagel.errors import ConfigError
from transport.base import Transport
from transport.memory import MemoryHub, MemoryTransport
from transport.zeromq import ZeroMqTransport


def open_transport(
    name: str, *, bind: str, advertise_host: str | None = None, hub: MemoryHub | None = None
) -> Transport:
    """The transport `memory` (needs the process's hub) or `zeromq`. Raises ConfigError."""
    match name:
        case "memory":
            if hub is None:
                raise ConfigError("the memory transport works within one process only; take zeromq between processes")
            return MemoryTransport(hub)
        case "zeromq":
            return ZeroMqTransport(bind, advertise_host)
        case _:
            raise ConfigError(f"transport {name!r} is not built; take memory or zeromq")
