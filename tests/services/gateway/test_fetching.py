"""What strangers name to be fetched: nothing but pictures of public hosts, whatever way an address is written."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from bagel import limits
from bagel.errors import RequestError
from services.gateway import fetching
from services.gateway.fetching import PictureFetcher
from services.gateway.public_addresses import is_public
from services.gateway.sources import load_pictures

PNG = b"\x89PNG\r\n\x1a\n"
LOOPBACKS = (
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "127.000.000.001", "2130706433",
    "0x7f000001", "0x7f.1",
    "0x7f.0.0.1", "017700000001", "0177.0.0.1", "0177.1", "127.0.0.2", "127.255.255.254", "0", "0.0.0.0", "0x0", "00",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:0]",
    "[::127.0.0.1]", "[::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "%31%32%37.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①",
    "127.0.0.1%00.example.com", "example.com@127.0.0.1", "user:pass@127.0.0.1", "127.0.0.1#@example.com",
    "127.0.0.1\\@example.com", "example.com\\@127.0.0.1", " 127.0.0.1", "127.0.0.1\t", "127.0.0.1\r\nhost: x",
)  # fmt: skip
INSIDE = (
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.254", "100.64.0.1",
    "100.100.100.200", "169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "0xa9fea9fe",
    "2852039166", "0251.0376.0251.0376", "[fd00:ec2::254]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[100::1]",
    "metadata.google.internal", "no-such-host.invalid", "",
)  # fmt: skip
WHOLE = (
    "file:///etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/x.png", "gopher://127.0.0.1:80/_GET",
    "dict://127.0.0.1:80/",
    "ws://127.0.0.1/", "unix:///tmp/x.sock", "http+unix://%2Ftmp%2Fx.sock/", "jar:http://127.0.0.1!/x",
    "http:/127.0.0.1/",
    "http:127.0.0.1", "http://", "http:///x.png", "https://", "//127.0.0.1/x.png", "http://[::1",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/", "http://127.0.0.1:port/",
)  # fmt: skip


@dataclass
class Web:
    """A server on the loopback that answers what it is told to, and counts."""

    answer: bytes = b""
    port: int = 0
    connections: int = 0
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def web(answer: bytes = b"") -> AsyncIterator[Web]:
    made = Web(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server, AsyncExitStack() as stack:
        with suppress(OSError):  # no IPv6 on this machine
            await stack.enter_async_context(await asyncio.start_server(made.serve, "::1", made.port))
        yield made


@asynccontextmanager
async def fetcher(site: Web, permits: Callable[..., bool] | None = None) -> AsyncIterator[PictureFetcher]:
    ports = fetching.PORTS | {site.port}
    made = PictureFetcher(ports=ports) if permits is None else PictureFetcher(permits=permits, ports=ports)
    try:
        yield made
    finally:
        await made.close()


def ok(body: bytes, kind: bytes = b"image/png", *more: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"content-type: " + kind, b"content-length: %d" % len(body), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def hold_any(num_bytes: int) -> None:
    assert num_bytes > 0


async def test_no_address_inside_is_ever_connected_to() -> None:
    async with web(ok(PNG)) as site, fetcher(site) as subject:
        urls = [f"{scheme}://{host}:{site.port}/x.png" for host in LOOPBACKS for scheme in ("http", "https")]
        urls += [f"http://{host}/x.png" for host in (*LOOPBACKS, *INSIDE)] + list(WHOLE)
        assert len(urls) > 60
        for url in urls:
            with pytest.raises(RequestError) as refused:
                await subject.fetch(url, param="url", hold=hold_any)
            assert refused.value.param == "url"
        assert site.connections == 0


async def test_a_permitted_picture_is_fetched_whole_from_its_own_address() -> None:
    async with web(ok(PNG)) as site, fetcher(site, lambda _: True) as subject:
        assert await subject.fetch(f"http://localhost:{site.port}/a/x.png?b=1", param="url", hold=hold_any) == PNG
        assert site.asked[0].startswith(b"GET /a/x.png?b=1 HTTP/1.1\r\n")
        assert b"host: localhost:%d" % site.port in site.asked[0].lower()


async def test_every_byte_is_counted_as_it_comes() -> None:
    held: list[int] = []
    async with web(ok(bytes(100_000))) as site, fetcher(site, lambda _: True) as subject:
        url = f"http://127.0.0.1:{site.port}/"
        assert await load_pictures([("url", url)] * 2, subject, held.append) == [bytes(100_000)] * 2
    assert sum(held) == 200_000


async def test_redirects_are_not_followed() -> None:
    async with web(ok(PNG)) as inside:
        moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n" % inside.port
        async with web(moved) as site, fetcher(site, lambda _: True) as subject:
            with pytest.raises(RequestError, match="redirects are not followed"):
                await subject.fetch(f"http://127.0.0.1:{site.port}/", param="url", hold=hold_any)
        assert inside.connections == 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ok(b"<html>", b"text/html"), "not sent as one of"),
        (ok(PNG, b"image/svg+xml"), "not sent as one of"),
        (ok(PNG, b"image/png", b"content-encoding: gzip"), "not sent as one of"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "status 404"),
        (ok(bytes(limits.FETCHED_BYTES.most + 1)), "over 16 MiB"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "cannot be fetched"),
        (ok(PNG)[:-4], "cannot be fetched"),
    ],
)
async def test_what_is_no_picture_of_bounded_size_is_refused(answer: bytes, reason: str) -> None:
    async with web(answer) as site, fetcher(site, lambda _: True) as subject:
        with pytest.raises(RequestError, match=reason):
            await subject.fetch(f"http://127.0.0.1:{site.port}/", param="url", hold=hold_any)


async def test_other_ports_and_long_urls_are_refused() -> None:
    async with web(ok(PNG)) as site:
        subject = PictureFetcher(permits=lambda _: True)
        for url in (f"http://127.0.0.1:{site.port}/", "http://127.0.0.1/" + "x" * limits.URL_CHARACTERS.most):
            with pytest.raises(RequestError, match="is refused"):
                await subject.fetch(url, param="url", hold=hold_any)
        await subject.close()
        assert site.connections == 0


async def test_a_server_that_does_not_end_is_left() -> None:
    done = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(bytes(100))[:-50])
        await done.wait()
        writer.close()

    async with await asyncio.start_server(stall, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        subject = PictureFetcher(permits=lambda _: True, ports=frozenset({port}), fetch_s=0.2)
        with pytest.raises(RequestError, match=r"did not come within 0\.2 s"):
            await subject.fetch(f"http://127.0.0.1:{port}/", param="url", hold=hold_any)
        done.set()
        await subject.close()


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_the_internets_own_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
