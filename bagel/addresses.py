"""gRPC addresses of flags: `host:port`, `[v6]:port`, `unix:path`; and which of this host's own leads to a peer."""

import ipaddress
import socket

from bagel.errors import ConfigError

UNIX = "unix:"


def split_address(address: str, *, flag: str) -> tuple[str, int]:
    """Host without brackets, and port. Raises ConfigError naming the flag."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{flag} {address}: must be HOST:PORT, or [ADDRESS]:PORT for IPv6")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in host and bare == host):
        raise ConfigError(f"{flag} {address}: an IPv6 address stands in brackets: [{host}]:{port}")
    return bare, int(port)


def join_address(host: str, port: int | str) -> str:
    """The opposite of `split_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(address: str) -> bool:
    """Whether `host:port` means each host itself."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Whether a host means every address of this host: good to listen on, not to be dialled."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def host_towards(peer: str) -> str:
    """The address of this host from which packets to `peer` (host:port) leave; loopback when that is this host's.

    Falls back to the default route where the name cannot be resolved yet. Raises ConfigError without any route.
    """
    host, port = split_address(peer, flag="--master")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # the latter for names that can be none
        found = []
    targets = [(family, address) for family, _, _, _, address in found]
    targets += [(socket.AF_INET, ("192.0.2.1", 9)), (socket.AF_INET6, ("2001:db8::1", 9))]
    for family, address in targets:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect(address)  # sends nothing
                return str(probe.getsockname()[0])
        except OSError:
            continue
    raise ConfigError(f"--master {peer}: this host has no route there; name this stage's address: --bind HOST:PORT")
