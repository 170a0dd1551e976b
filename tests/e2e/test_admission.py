"""The line in front of the stages on a real server: places are told, given back and bounded; keys are asked for."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.keys import add_key
from tests.e2e.server import Server, running_server, user

CHAT = "/v1/chat/completions"
LONG: dict[str, Any] = {
    "modalities": ["image"], "height": 256, "width": 256, "num_inference_steps": 1000, "messages": user("A cat"),
}  # fmt: skip
SHORT = LONG | {"num_inference_steps": 2}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    found = {name: add_key(path, name, per_minute=None, at_once=None) for name in ("ann", "bob")}
    return found | {"file": str(path)}


@pytest.fixture(scope="module")
def shared_strict_server(keys: dict[str, str]) -> Iterator[Server]:
    flags = ("--max-running", "1", "--max-queue", "2", "--api-keys", keys["file"])
    with running_server("--load-format", "dummy", *flags) as server:
        server.http.headers["authorization"] = f"Bearer {keys['ann']}"
        yield server


@pytest.fixture
def strict(shared_strict_server: Server) -> Iterator[Server]:
    yield shared_strict_server
    shared_strict_server.wait_idle()


class Streaming:
    """A request that streams in the background until it ends or is closed."""

    def __init__(self, server: Server, body: dict[str, Any], request_id: str = "", key: str = "") -> None:
        self.lines: list[str] = []
        self._told, self._close = threading.Condition(), threading.Event()
        headers = {"x-request-id": request_id} if request_id else {}
        headers |= {"authorization": f"Bearer {key}"} if key else {}
        self._thread = threading.Thread(target=self._read, args=(server, body | {"stream": True}, headers))
        self._thread.start()

    def wait(self, words: str, timeout_s: float = 20.0) -> str:
        """The first line with these words."""
        with self._told:
            assert self._told.wait_for(lambda: any(words in line for line in self.lines), timeout_s), self.lines
            return next(line for line in self.lines if words in line)

    def close(self) -> None:
        self._close.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _read(self, server: Server, body: dict[str, Any], headers: dict[str, str]) -> None:
        with server.http.stream("POST", CHAT, json=body, headers=headers) as response:
            for line in response.iter_lines():
                with self._told:
                    self.lines.append(line)
                    self._told.notify_all()
                if self._close.is_set():
                    return


def let_in(server: Server, timeout_s: float = 10.0) -> Streaming:
    """A request that waits in the line, once the gateway has noticed who left it."""
    deadline = time.monotonic() + timeout_s
    while True:
        stream = Streaming(server, SHORT)
        if "queue_full" not in stream.wait(""):
            return stream
        assert time.monotonic() < deadline


def test_a_stream_tells_its_place_and_the_answer_its_time_in_the_line(strict: Server) -> None:
    running = Streaming(strict, LONG)
    running.wait(": step")
    waiting = Streaming(strict, SHORT)
    assert "queued at position 1" in waiting.wait(": queued")
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(strict.answer, **SHORT)
        strict.http.get("/livez")
        running.close()
        assert whole.result()["bagel"]["timings_s"]["queue"] > 0
    waiting.join()
    assert waiting.lines[-2] == "data: [DONE]"


def test_callers_take_turns(strict: Server, keys: dict[str, str]) -> None:
    running = Streaming(strict, LONG)
    running.wait(": step")
    first, second = Streaming(strict, SHORT), None
    first.wait("queued at position 1")
    second = Streaming(strict, SHORT)
    second.wait("queued at position 2")
    other = Streaming(strict, SHORT, key=keys["bob"])
    other.wait("queued at position 2")
    second.wait("queued at position 3")
    running.close()
    for stream in (first, second, other):
        stream.join()
        assert stream.lines[-2] == "data: [DONE]"


def test_a_full_line_refuses_at_once_and_says_when_to_come_again(strict: Server) -> None:
    running = Streaming(strict, LONG)
    running.wait(": step")
    # One that costs more than the bound may wait alone.
    waiting = Streaming(strict, LONG)
    waiting.wait(": queued")
    for body in (SHORT, SHORT | {"stream": True}):
        started = time.monotonic()
        refused = strict.http.post(CHAT, json=body)
        assert refused.status_code == 429
        assert time.monotonic() - started < 5
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "queue_full")
        assert 1 <= int(refused.headers["retry-after"]) <= 120
    # Texts have a line of their own.
    assert strict.chat(messages=user("Hi"), max_tokens=1).status_code == 200
    running.close()
    waiting.wait(": step")
    waiting.close()


@pytest.mark.parametrize("how", ["left", "cancelled", "late"])
def test_who_leaves_the_line_gives_the_place_back(strict: Server, how: str) -> None:
    running = Streaming(strict, LONG)
    running.wait(": step")
    waiting = Streaming(strict, LONG | ({"timeout_s": 3.0} if how == "late" else {}), request_id="waits")
    waiting.wait(": queued")
    match how:
        case "left":
            waiting.close()
        case "cancelled":
            assert strict.http.delete("/v1/requests/waits").status_code == 200
            assert '"cancelled"' in waiting.wait("error")
        case "late":
            assert '"deadline_exceeded"' in waiting.wait("error")
    after = let_in(strict)
    after.wait("queued at position 1")
    running.close()
    after.join()
    assert after.lines[-2] == "data: [DONE]"


def test_pages_of_other_origins_get_no_leave(strict: Server) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for answer in (strict.http.options(CHAT, headers=headers), strict.http.get("/v1/models", headers=headers)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_health_needs_no_key_and_tasks_do(strict: Server) -> None:
    with httpx.Client(base_url=strict.http.base_url) as stranger:
        assert stranger.get("/readyz").status_code == 200
        assert stranger.post(CHAT, json={"messages": user("Hi")}).status_code == 401


def test_a_gateway_without_its_file_of_keys_does_not_start(tmp_path: Path) -> None:
    from services.gateway.__main__ import main

    assert main(["--api-keys", str(tmp_path / "none.jsonl")]) == 78
