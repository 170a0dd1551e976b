"""Connections that are too many, too slow or never read are ended; the others notice nothing."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services.gateway.connections import BoundedConnection
from tests.polling import wait_until
from tests.services.gateway.serving_app import running, served

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n"
POST_BYTES = 1000
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % POST_BYTES
LARGE_BYTES = 64 << 20
PATIENCE_S = 10.0
LARGE_IS_OVER = threading.Event()


class Quick(BoundedConnection):
    headers_s = 0.3
    unread_s = 0.3


class Few(BoundedConnection):
    most_connections = 20


class Patient(BoundedConnection):
    leave_s = PATIENCE_S


class Leaving(BoundedConnection):
    leave_s = 0.05


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    large = scope["path"] == "/large"
    await PlainTextResponse("x" * (LARGE_BYTES if large else 2))(scope, receive, send)
    if large:
        LARGE_IS_OVER.set()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with served(app, Quick) as found:
        yield found


@pytest.fixture
def patient() -> Iterator[tuple[str, int]]:
    """A server that leaves everybody time."""
    with served(app, Few) as found:
        yield found


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE_S)


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


def answer(connection: socket.socket) -> bytes:
    """Head and body of the app's small answer, which may come in two pieces."""
    found = b""
    while not found.endswith(b"\r\n\r\nxx") and (piece := connection.recv(1000)):
        found += piece
    return found


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "], ids=["", "line", "header"]
)
def test_headers_that_do_not_come_in_time_are_408(address: tuple[str, int], sent: bytes) -> None:
    started = time.monotonic()
    with connect(address) as slow:
        slow.sendall(sent)
        assert rest(slow).startswith(b"HTTP/1.1 408")
    assert 0.25 < time.monotonic() - started < 5


def test_a_byte_now_and_then_wins_no_time(address: tuple[str, int]) -> None:
    with connect(address) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nx-slow: ")
        slow.settimeout(0.05)
        started = time.monotonic()
        found = b""
        while not found and time.monotonic() - started < 5:
            try:
                slow.sendall(b"x")
                found = slow.recv(100)
            except TimeoutError:
                continue
        assert found.startswith(b"HTTP/1.1 408")


def test_a_second_request_of_a_connection_is_bounded_like_the_first(address: tuple[str, int]) -> None:
    with connect(address) as slow:
        slow.sendall(GET)
        assert answer(slow).endswith(b"xx")
        slow.sendall(GET + b"GET / HT")
        assert b"HTTP/1.1 408" in rest(slow)


def test_who_never_ends_a_body_that_was_answered_early_is_left(address: tuple[str, int]) -> None:
    with connect(address) as slow:
        slow.sendall(POST)
        assert answer(slow).endswith(b"xx")
        slow.sendall(b"x")
        assert rest(slow) == b""


def test_who_ends_such_a_body_in_time_goes_on(patient: tuple[str, int]) -> None:
    with connect(patient) as quick:
        quick.sendall(POST)
        assert answer(quick).endswith(b"xx")
        quick.sendall(bytes(POST_BYTES) + GET)
        assert answer(quick).startswith(b"HTTP/1.1 200")


def test_slow_ones_hold_up_nobody(address: tuple[str, int]) -> None:
    slow = [connect(address) for _ in range(15)]
    for connection in slow:
        connection.sendall(b"GET / HT")
    with connect(address) as quick:
        quick.sendall(GET)
        assert answer(quick).startswith(b"HTTP/1.1 200")
    for connection in slow:
        assert rest(connection).startswith(b"HTTP/1.1 408")
        connection.close()


def test_connections_beyond_the_bound_are_503_at_once(patient: tuple[str, int]) -> None:
    held = [connect(patient) for _ in range(Few.most_connections)]
    with connect(patient) as beyond:
        assert rest(beyond).startswith(b"HTTP/1.1 503")
    for connection in held:
        connection.close()


def test_who_reads_nothing_of_an_answer_is_left(address: tuple[str, int]) -> None:
    LARGE_IS_OVER.clear()
    with connect(address) as lazy:
        lazy.sendall(LARGE)
        assert lazy.recv(10)
        assert LARGE_IS_OVER.wait(PATIENCE_S)
        assert len(rest(lazy)) < LARGE_BYTES


@pytest.mark.parametrize("before", [b"", GET, b"GET / HT"], ids=["new", "used", "begun"])
def test_a_server_that_stops_still_answers_what_comes_over_a_connection_and_closes_it_then(before: bytes) -> None:
    with running(app, Patient, int(PATIENCE_S)) as (address, server), connect(address) as kept:
        kept.sendall(before)
        if before == GET:
            assert answer(kept).endswith(b"xx")
        wait_until(lambda: server.server_state.connections)
        server.should_exit = True
        wait_until(lambda: not server.servers[0].is_serving())
        kept.sendall(GET.removeprefix(before) if before == b"GET / HT" else GET)
        last = rest(kept)
        assert last.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in last
        assert last.endswith(b"xx")


def test_a_server_that_stops_closes_a_connection_that_nobody_uses() -> None:
    with running(app, Leaving) as (address, server), connect(address) as kept:
        kept.sendall(GET)
        assert answer(kept).endswith(b"xx")
        server.should_exit = True
        assert rest(kept) == b""
