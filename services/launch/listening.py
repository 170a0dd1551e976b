"""Ports of this node: taken early, so that a taken one is one sentence and no process was started.

The HTTP socket stays the launcher's and is handed down, so that it answers from one gateway to the next.
"""

import socket

from bagel.addresses import split_address
from bagel.errors import ConfigError

BACKLOG = 2048


def listen_http(host: str, port: int) -> socket.socket:
    """A socket that listens; the caller closes it. Raises ConfigError."""
    return _listening(host, port, "--port")


def check_port(host: str, port: int, flag: str) -> None:
    """Raise ConfigError when a port cannot be had."""
    _listening(host, port, flag).close()


def check_address(address: str, flag: str) -> None:
    """As `check_port`, of `host:port`."""
    check_port(*split_address(address, flag=flag), flag)


def _listening(host: str, port: int, flag: str) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found.family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind((host, port))
        found.listen(BACKLOG)  # two that only bind with SO_REUSEADDR do not notice each other
    except OSError as error:
        found.close()
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({error.strerror}); free it or take another with {flag}"
        ) from error
    return found
