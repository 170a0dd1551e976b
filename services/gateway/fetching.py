"""Fetches pictures that requests name by http(s), for gateways that allow it (`--fetch-images`), and nothing else.

The address is checked where the connection is made: a name is resolved once, every address of it must be public, and
one of these very addresses is connected to. No redirects, no proxies, no credentials, bounded size and time.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable

import httpcore

from bagel.errors import RequestError
from bagel.limits import FETCH_S, FETCHED_BYTES, URL_CHARACTERS
from services.gateway.bodies import Hold
from services.gateway.public_addresses import Address, is_public

PORTS = frozenset({80, 443})
CONTENT_TYPES = ("image/png", "image/jpeg", "image/webp")
MAX_CONNECTIONS = 16
_HEADERS = [
    (b"accept", ", ".join(CONTENT_TYPES).encode()), (b"accept-encoding", b"identity"), (b"user-agent", b"bagel-serve"),
]  # fmt: skip


class RefusedAddressError(Exception):
    """A host is not one of the public internet."""


class PictureFetcher:
    """Fetches from public addresses. What it may do and how long are others in tests alone."""

    def __init__(
        self, *, permits: Callable[[Address], bool] = is_public, ports: frozenset[int] = PORTS,
        fetch_s: float = FETCH_S.most,
    ) -> None:  # fmt: skip
        self._ports, self._fetch_s = ports, fetch_s
        self._pool = httpcore.AsyncConnectionPool(
            network_backend=_GuardedBackend(permits), max_connections=MAX_CONNECTIONS, max_keepalive_connections=0
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()

    async def fetch(self, url: str, *, param: str, hold: Hold) -> bytes:
        """The bytes at a URL, not looked at yet, each piece counted by `hold`. Raises RequestError naming `param`."""
        try:
            async with asyncio.timeout(self._fetch_s):
                return await self._get(self._checked(url), hold)
        except TimeoutError:
            reason = f"did not come within {self._fetch_s:g} s"
        except RefusedAddressError as error:
            reason = f"is refused: {error}"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol):
            # Nothing of what was found there is told: it may be a place that the caller cannot reach by itself.
            reason = "cannot be fetched"
        raise RequestError(f"{param}: the picture {reason}; send it inline as data:image/...;base64,...", param=param)

    def _checked(self, url: str) -> httpcore.URL:
        if len(url) > URL_CHARACTERS.most or not url.isascii() or any(c.isspace() or c == "\\" for c in url):
            raise RefusedAddressError(f"a URL has up to {URL_CHARACTERS.most} visible ASCII characters")
        try:
            parsed = httpcore.URL(url)
            port = parsed.port or {b"http": 80, b"https": 443}.get(parsed.scheme)
        except ValueError:
            raise RefusedAddressError("it is no URL") from None
        if parsed.scheme not in (b"http", b"https") or not parsed.host:
            raise RefusedAddressError("only http:// and https:// are fetched")
        if b"@" in url.encode().split(b"/", 3)[2]:
            raise RefusedAddressError("a URL may hold no user name")
        if port not in self._ports:
            raise RefusedAddressError(f"port {port} is none of {sorted(self._ports)}")
        return parsed

    async def _get(self, url: httpcore.URL, hold: Hold) -> bytes:
        async with self._pool.stream("GET", url, headers=[(b"host", _authority(url)), *_HEADERS]) as response:
            headers = {name.lower(): value for name, value in response.headers}
            if response.status != 200:
                raise RefusedAddressError(f"it answered with status {response.status}; redirects are not followed")
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
            if kind not in CONTENT_TYPES or headers.get(b"content-encoding", b"identity") != b"identity":
                raise RefusedAddressError(f"it is not sent as one of {', '.join(CONTENT_TYPES)}")
            data = bytearray()
            async for piece in response.aiter_stream():
                hold(len(piece))
                data += piece
                if len(data) > FETCHED_BYTES.most:
                    raise RefusedAddressError(f"it is over {FETCHED_BYTES.most >> 20} MiB")
            return bytes(data)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to permitted addresses alone: what was checked is what is connected to."""

    def __init__(self, permits: Callable[[Address], bool]) -> None:
        self._permits, self._inner = permits, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        address = await self._resolve(host, port)
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise RefusedAddressError("sockets of this machine are not reached")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        except (OSError, ValueError, UnicodeError):
            raise RefusedAddressError("its host has no public address") from None
        if not addresses or not all(map(self._permits, addresses)):
            raise RefusedAddressError("its host has no public address")
        return str(addresses[0])


def _authority(url: httpcore.URL) -> bytes:
    host = b"[" + url.host + b"]" if b":" in url.host else url.host
    return host if url.port is None else host + b":%d" % url.port
