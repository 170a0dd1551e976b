"""A request that nobody waits for any more stops within a step and gives everything back."""

import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.e2e.server import Server, picture, read_picture, scene, text, user

LONG: dict[str, Any] = {
    "modalities": ["image"], "height": 256, "width": 256, "num_inference_steps": 1000, "seed": 3,
    "messages": user("A cat"),
}  # fmt: skip
SHORT = {**LONG, "num_inference_steps": 3}
# Seconds of writing; with the prompt they stay within the model's positions.
MANY_TOKENS = 3500


def leave_when(server: Server, body: dict[str, Any], stage: str) -> None:
    """Send a request over a bare socket and close it once the stage works on it."""
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Length: {len(data)}\r\n\r\n"
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 0)) as connection:
        connection.sendall(head.encode() + data)
        server.wait_status(stage, lambda status: status.running == 1)


def test_a_client_that_leaves_while_denoising_stops_the_dit(server: Server) -> None:
    before = read_picture(server.answer(**SHORT))
    started = time.monotonic()
    leave_when(server, LONG, "dit")
    server.wait_idle()
    # All the steps would take far longer.
    assert time.monotonic() - started < 10
    assert read_picture(server.answer(**SHORT)) == before


def test_a_client_that_leaves_while_text_is_written_stops_the_thinker(server: Server) -> None:
    body = {"messages": user(picture(scene(90, 60)), text("What?")), "max_tokens": MANY_TOKENS}
    leave_when(server, body, "thinker")
    server.wait_idle()


def test_a_stream_that_is_closed_stops_the_work(server: Server) -> None:
    with server.http.stream("POST", "/v1/chat/completions", json={**LONG, "stream": True}) as response:
        for line in response.iter_lines():
            if line.startswith(": step"):
                break
    server.wait_idle()


@pytest.mark.parametrize(
    "body",
    [
        {**LONG, "timeout_s": 0.6},
        {**LONG, "timeout_s": 1e-9},
        {"messages": user("Tell me a story"), "max_tokens": MANY_TOKENS, "timeout_s": 0.4},
        {**LONG, "think": True, "max_think_tokens": MANY_TOKENS, "timeout_s": 0.4},
    ],
    ids=["denoising", "before it began", "writing", "thinking"],
)
def test_a_passed_deadline_is_a_timeout_and_frees_everything(server: Server, body: dict[str, Any]) -> None:
    started = time.monotonic()
    response = server.chat(**body)
    assert response.status_code == 504, response.text
    assert response.json()["error"]["code"] == "deadline_exceeded"
    assert response.headers["x-should-retry"] == "false"
    assert time.monotonic() - started < 5
    server.wait_idle()


def test_requests_that_wait_their_turn_are_all_answered(server: Server) -> None:
    alone = read_picture(server.answer(**SHORT))
    pictures: list[bytes] = []
    threads = [threading.Thread(target=lambda: pictures.append(read_picture(server.answer(**SHORT)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert pictures == [alone] * 6
