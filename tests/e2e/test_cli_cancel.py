"""Ctrl-C ends a command at once and its work on the server too, also behind a proxy that tells the server nothing."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.command import on_terminal, started
from tests.e2e.server import Server
from tests.e2e.test_cli_pictures import url_of

DRAWING = ("generate", "A cat", "-o", "never.png", "--steps", "1000")
WRITING = ("chat", "Tell me a story", "--max-tokens", "3500")


def cancelled(server: Server) -> float:
    return sum(
        value for name, value in server.figures("gateway").items() if 'requests_total{outcome="cancelled"' in name
    )


@contextmanager
def deaf_proxy(server: Server) -> Iterator[str]:
    """The server behind something that keeps its connections there when a client leaves; the address to use."""
    target = (server.http.base_url.host, server.http.base_url.port)
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                sink.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(target)
                kept.extend((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for end in (listener, *kept):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.mark.parametrize(
    ("arguments", "stage"),
    [(DRAWING, "dit"), ((*DRAWING, "--json"), "dit"), (WRITING, "thinker"), ((*WRITING, "--json"), "thinker")],
    ids=["drawing", "drawing for json", "writing", "writing for json"],
)
def test_ctrl_c_cancels_the_request_on_the_server(
    server: Server, tmp_path: Path, arguments: tuple[str, ...], stage: str
) -> None:
    before = cancelled(server)
    with started(*arguments, url=url_of(server), cwd=tmp_path) as process:
        server.wait_status(stage, lambda status: status.running == 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert errors.strip().endswith("cancelled")
    assert "Traceback" not in errors
    server.wait_idle()
    assert cancelled(server) == before + 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["stream", "whole"])
def test_a_proxy_that_hides_the_end_of_a_connection_does_not_keep_the_work_alive(
    server: Server, tmp_path: Path, more: tuple[str, ...]
) -> None:
    with deaf_proxy(server) as url:
        with started(*DRAWING, *more, url=url, cwd=tmp_path) as process:
            server.wait_status("dit", lambda status: status.running == 1)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        server.wait_idle()


def test_ctrl_c_in_a_conversation_stops_the_answer_alone(server: Server, tmp_path: Path) -> None:
    before = cancelled(server)
    with on_terminal("chat", "--max-tokens", "3500", url=url_of(server), cwd=tmp_path) as terminal:
        terminal.wait("> ")
        terminal.send("Tell me a story\n")
        server.wait_status("thinker", lambda status: status.running == 1)
        terminal.send("\x03")
        terminal.wait("stopped, and forgotten")
        terminal.wait("> ")
        server.wait_idle()
        assert terminal.interrupt_until_exit() == 0
    assert cancelled(server) == before + 1
