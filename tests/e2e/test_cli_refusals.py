"""What the commands send along and how they take refusals, at a door that only refuses."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import bagel

Seen = tuple[dict[str, str], dict[str, Any]]  # headers by small names, and the body


@contextmanager
def door(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[Seen]]]:
    """An HTTP server that gives every request the same answer; its address, and what it saw."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"]))
            seen.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(sent)))
            self.send_response(status)
            for name, value in {"content_length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            serving.join()


def error(message: str, code: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "some_error", "param": None, "code": code}}).encode()


def test_the_key_the_deadline_and_a_request_id_are_sent() -> None:
    with door(401, error("no such key", "invalid_api_key")) as (url, seen):
        done = bagel("chat", "Hi", "--timeout", "7.5", url=url, BAGEL_API_KEY="secret")
        other = bagel("generate", "A cat", "--api-key", "another", "--json", url=url)
    assert (done.returncode, other.returncode) == (1, 1)
    assert "error: no such key; give a key with --api-key or BAGEL_API_KEY" in done.stderr
    assert json.loads(other.stdout)["error"]["code"] == "invalid_api_key"
    (first, body), (second, _) = seen
    assert (first["authorization"], second["authorization"]) == ("Bearer secret", "Bearer another")
    assert (body["timeout_s"], body["stream"]) == (7.5, True)
    assert first["x-request-id"].startswith("cli-")
    assert first["x-request-id"] != second["x-request-id"]
    assert "secret" not in done.stdout + done.stderr


DRAWING = {
    "--negative": ("negative_prompt", "blurry"), "--cfg-text-scale": ("cfg_text_scale", 3.5),
    "--cfg-img-scale": ("cfg_img_scale", 1.25), "--cfg-renorm-type": ("cfg_renorm_type", "channel"),
    "--cfg-renorm-min": ("cfg_renorm_min", 0.5), "--timestep-shift": ("timestep_shift", 2.5),
    "--steps": ("num_inference_steps", 9), "--max-think-tokens": ("max_think_tokens", 7), "--seed": ("seed", 11),
}  # fmt: skip
WRITING = {
    "--max-tokens": ("max_tokens", 12), "--temperature": ("temperature", 0.5), "--top-p": ("top_p", 0.75),
    "--max-think-tokens": ("max_think_tokens", 7), "--seed": ("seed", 11),
}  # fmt: skip


def options_of(settings: dict[str, tuple[str, Any]]) -> list[str]:
    return [word for option, (_, value) in settings.items() for word in (option, str(value))]


def test_every_option_becomes_its_field() -> None:
    size = ("--height", "128", "--width", "192", "--cfg-interval", "0.25", "0.75")
    more = ("--think", "-n", "3", "-o", "x.webp")
    with door(400, error("no", "no")) as (url, seen):
        bagel("generate", "A cat", *options_of(DRAWING), *size, *more, "--compression", "60", "--json", url=url)
        bagel("generate", "A cat", *options_of(DRAWING), *size, *more, url=url)
        bagel("chat", "Hi", *options_of(WRITING), "--think", url=url)
        bagel("generate", "A cat", "--previews", "2", "-o", "x.jpg", url=url)
    whole, thinking, writing, previews = (body for _, body in seen)
    drawing = {**dict(DRAWING.values()), "cfg_interval": [0.25, 0.75], "think": True, "output_format": "webp"}
    assert whole == {**drawing, "prompt": "A cat", "n": 3, "size": "192x128", "output_compression": 60}
    messages = [{"role": "user", "content": [{"type": "text", "text": "A cat"}]}]
    assert thinking == {
        **drawing, "messages": messages, "modalities": ["image"], "height": 128, "width": 192, "stream": True
    }  # fmt: skip
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert writing == {
        **dict(WRITING.values()), "messages": messages, "modalities": ["text"], "think": True, "stream": True
    }  # fmt: skip
    del previews["seed"]  # a random one
    assert previews == {"prompt": "A cat", "n": 1, "output_format": "jpeg", "partial_images": 2, "stream": True}


def test_a_full_server_says_when_to_come_again() -> None:
    with door(429, error("the queue is full", "overloaded"), retry_after="7") as (url, _):
        done = bagel("chat", "Hi", url=url)
    assert (done.returncode, done.stderr) == (1, "error: the queue is full; try again in 7 s\n")


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"<html>hello</html>", "text/html", "as bagel-serve never does"),
        (b"[]", "application/json", "as bagel-serve never does"),
        (b'data: {"object": "chat.completion.chunk", "choices": [', "text/event-stream", "ended before its end"),
        (b"data: nonsense\n\n", "text/event-stream", "an event of the answer cannot be read"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(body: bytes, kind: str, says: str) -> None:
    with door(200, body, content_type=kind) as (url, _):
        done = bagel("chat", "Hi", url=url)
    assert done.returncode == 69
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_that_breaks_off_is_one_sentence(tmp_path: Path) -> None:
    with door(200, b": step 1 of 9\n\n", content_type="text/event-stream", content_length="900") as (url, _):
        done = bagel("generate", "A cat", "-o", "never.png", url=url, cwd=tmp_path)
    assert done.returncode == 69
    assert "was lost before the answer was whole" in done.stderr
    assert "Traceback" not in done.stderr
