"""Mooncake's knobs. It reads them from the environment, once, when the first engine of a process is made.

What a plane's promises rest on is set here; the rest may be set from outside and is left as it is.
"""

import ipaddress
import os
from typing import Literal

from bagel.errors import ConfigError

WireProtocol = Literal["tcp", "rdma"]
PROTOCOLS: tuple[WireProtocol, ...] = ("tcp", "rdma")
WILDCARDS = ("", "*", "0.0.0.0", "::")
# Taken unless somebody chose otherwise.
DEFAULTS = {
    "MC_LOG_LEVEL": "ERROR",
    # Seconds until a silent peer is given up; Mooncake's own are 30.
    "MC_TCP_PROGRESS_TIMEOUT_SEC": "2",
    "MC_HANDSHAKE_CONNECT_TIMEOUT": "2",
    # Seconds a call may take on top of 1 ns a byte; 5 is the least. Raise it on links under 50 Mbit/s.
    "MC_TRANSFER_TIMEOUT": "5",
    # Bytes of one read or write of a socket, and of one copy to a GPU; Mooncake's own are 64 KiB.
    "MC_TCP_SLICE_SIZE": str(1 << 20),
    # Slices that may wait, over all fetches from one peer: more than fit fail at once.
    "MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER": "65535",
}
# Each breaks a promise of this plane, and why.
HARMFUL = {
    "MC_TCP_PROTO": "with the old framing a refused transfer counts as done",
    "MC_DISABLE_METACACHE": "every call then asks the peer anew, and hangs for a minute when the peer has stopped",
}


def prepare(host: str, protocol: WireProtocol) -> None:
    """Set the environment for engines that speak `protocol` at `host`. Raises ConfigError where it contradicts."""
    for name, reason in HARMFUL.items():
        if name in os.environ:
            raise ConfigError(f"{name} is set: {reason}; unset it")
    force, never = ("MC_FORCE_TCP", "MC_FORCE_HCA") if protocol == "tcp" else ("MC_FORCE_HCA", "MC_FORCE_TCP")
    if never in os.environ:
        raise ConfigError(f"{never} is set, but Mooncake is to speak {protocol}: unset one or change the other")
    v6 = is_v6(host)
    if not v6 and "MC_USE_IPV6" in os.environ:
        raise ConfigError(
            f"MC_USE_IPV6 is set, but {host} is no IPv6 address: Mooncake speaks one family a process,"
            " take hosts of the same one everywhere"
        )
    os.environ[force] = "1"
    if v6:
        os.environ["MC_USE_IPV6"] = "1"
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def advertise(host: str) -> None:
    """Name this host to those that learn of it from a metadata server; Mooncake would take any of its addresses."""
    os.environ.setdefault("MC_TCP_BIND_ADDRESS", host)


def check_protocol(protocol: str) -> WireProtocol:
    """What Mooncake is to speak. Raises ConfigError when it is something else."""
    for known in PROTOCOLS:
        if known == protocol:
            return known
    raise ConfigError(f"Mooncake does not speak {protocol!r}; take {' or '.join(PROTOCOLS)}")


def check_host(host: str) -> str:
    """The host to advertise, without brackets. Raises ConfigError: a wildcard is nobody's address."""
    bare = host.strip().removeprefix("[").removesuffix("]")
    if bare in WILDCARDS:
        raise ConfigError(
            f"Mooncake cannot be reached at {host!r}: give the address that the other hosts reach this one at"
        )
    return bare


def is_v6(host: str) -> bool:
    """Whether a host is an IPv6 address."""
    return ":" in host


def is_literal(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
