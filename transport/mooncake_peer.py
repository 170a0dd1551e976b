"""Where a holder's memory lies in Mooncake's terms, and what the engine there says of itself.

Mooncake's own handshake waits a minute for a peer that has stopped, so peers are asked here first, with a deadline.
An engine answers on its handshake port: length (8 B, little endian), kind of message (1 B), JSON.
"""

import json
import re
import socket
import struct
import time
from dataclasses import dataclass

from transport.errors import TransferRefusedError
from transport.mooncake_environment import WireProtocol, check_protocol, is_v6

_HEAD = struct.Struct("<QB")  # length of what follows it, kind of message
_METADATA = 1
MAX_ANSWER_BYTES = 1 << 20
_ADDRESS = re.compile(r"(tcp|rdma)://(?:\[([^\]/]+)\]|([^:/\[\]]+)):(\d{1,5})/([0-9a-f]{1,16})/(\d{1,10})")


@dataclass(frozen=True, slots=True)
class Address:
    """`protocol://host:port/base/pages`: an engine's handshake port, and the pool in its memory."""

    protocol: WireProtocol
    host: str
    port: int
    base: int  # address of the pool's header in the holder
    num_pages: int

    def __str__(self) -> str:
        return f"{self.protocol}://{self.peer}/{self.base:x}/{self.num_pages}"

    @property
    def peer(self) -> str:
        """What Mooncake calls the engine."""
        return f"[{self.host}]:{self.port}" if is_v6(self.host) else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Raises TransferRefusedError when it is none."""
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match[4]) > 65535:
            raise TransferRefusedError(f"{text!r} is no address of a Mooncake holder")
        return cls(check_protocol(match[1]), match[2] or match[3], int(match[4]), int(match[5], 16), int(match[6]))


@dataclass(frozen=True, slots=True)
class Description:
    """What an engine says of itself."""

    protocol: str  # what it really speaks
    data: tuple[str, int] | None  # host and port of its data, where it has one
    buffers: tuple[tuple[int, int], ...]  # address and bytes of what it has registered

    def holds(self, base: int, num_bytes: int) -> bool:
        """Whether memory that begins there, and is at least so large, can be read."""
        return any(start == base and num_bytes <= size for start, size in self.buffers)


def describe(host: str, port: int, *, timeout_s: float) -> Description:
    """Ask an engine. Raises OSError when it does not answer in time, or as no engine does."""
    until_s = time.monotonic() + timeout_s
    with socket.create_connection((host, port), timeout_s) as link:
        link.sendall(_HEAD.pack(3, _METADATA) + b"{}")
        length, kind = _HEAD.unpack(_receive(link, _HEAD.size, until_s))
        if kind != _METADATA or not 1 < length <= MAX_ANSWER_BYTES:
            raise OSError("what answers there is no Mooncake engine, or of an unknown version")
        answer = _receive(link, length - 1, until_s)
    try:
        said = json.loads(answer)
        data = (str(said["tcp_data_host"]), int(said["tcp_data_port"])) if said["protocol"] == "tcp" else None
        buffers = tuple((int(buffer["addr"]), int(buffer["length"])) for buffer in said["buffers"])
        return Description(str(said["protocol"]), data, buffers)
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"the engine there describes itself in an unknown way ({error!r})") from error


def unreachable(target: Address, num_bytes: int, *, timeout_s: float) -> str | None:
    """Why a holder's first `num_bytes` cannot be had from here; None when both of its ports answer.

    `num_bytes` is the least that its pool has: its header and its generations.
    """
    until_s = time.monotonic() + timeout_s
    try:
        said = describe(target.host, target.port, timeout_s=timeout_s)
    except OSError as error:
        return f"{target.peer}: {_reason(error)}"
    if said.protocol != target.protocol:
        return f"{target.peer}: the engine there speaks {said.protocol}, its holder said {target.protocol}"
    if not said.holds(target.base, num_bytes):
        return f"{target.peer}: another engine lives there now, or the holder gave its memory back"
    if said.data is None:
        return None
    try:
        socket.create_connection(said.data, max(0.05, until_s - time.monotonic())).close()
    except OSError as error:
        host, port = said.data
        return f"{target.peer} answers, but its data port {port} on {host} does not ({_reason(error)}): open it as well"
    return None


def _receive(link: socket.socket, size: int, until_s: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        link.settimeout(max(0.001, until_s - time.monotonic()))
        part = link.recv(size - len(parts))
        if not part:
            raise OSError("the connection was closed in the middle of an answer")
        parts += part
    return bytes(parts)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time; the process has stopped, or a firewall drops its packets"
    return error.strerror or str(error)
