"""`bagel serve` and the command line: starting, crashing, stopping."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import Server, read_picture, running_server, user
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import ROOT, Process

DRAW: dict[str, Any] = {
    "messages": user("A cat"), "modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 4,
    "seed": 9,
}  # fmt: skip
HELP_LIMIT_S = 0.5


def wait_ready(server: Server, *, ready: bool, timeout_s: float = 60.0) -> dict[str, Any]:
    seen: list[httpx.Response] = []

    def look() -> bool:
        seen[:] = [server.http.get("/readyz")]
        return seen[0].is_success == ready

    wait_until(look, lambda: seen[0].text, timeout_s)
    body: dict[str, Any] = seen[0].json()
    return body


def gone(pid: int) -> bool:
    """Whether a process is dead; a zombie is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_gone(pids: list[int], timeout_s: float = 20.0) -> None:
    wait_until(lambda: all(gone(pid) for pid in pids), lambda: str([p for p in pids if not gone(p)]), timeout_s)


def ask_in_vain(server: Server, body: dict[str, Any]) -> None:
    """Send a request that is cut off."""
    with pytest.raises(httpx.HTTPError):
        server.chat(**body)


def test_a_crashed_stage_is_restarted_and_draws_the_same_picture() -> None:
    with running_server() as server:
        before = read_picture(server.answer(**DRAW))
        for stage in ("dit", "thinker"):
            os.kill(server.pids[stage], signal.SIGKILL)
            server.process.wait_event("crashed")
            server.pids[stage] = server.process.wait_event("started")["pid"]
            # The next one stands still while it is looked at what is said without it.
            os.kill(server.pids[stage], signal.SIGSTOP)
            try:
                reasons = wait_ready(server, ready=False)["reasons"]
                assert any(stage in reason for reason in reasons)
                refused = server.chat(**DRAW)
                assert refused.status_code == 503
                assert refused.json()["error"]["code"] in ("not_ready", "stage_unavailable")
                assert refused.headers["retry-after"]
            finally:
                os.kill(server.pids[stage], signal.SIGCONT)
            wait_ready(server, ready=True)
            assert read_picture(server.answer(**DRAW)) == before


def test_text_is_served_while_the_dit_is_away() -> None:
    with running_server() as server:
        os.kill(server.pids["dit"], signal.SIGSTOP)
        try:
            assert server.answer(messages=user("Hi"), max_tokens=2)
        finally:
            os.kill(server.pids["dit"], signal.SIGCONT)


def test_sigterm_lets_the_running_request_end_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # No other test writes there, and the name leaves room for that of a socket.
    folder = tempfile.TemporaryDirectory(prefix="b-")
    monkeypatch.setenv("TMPDIR", folder.name)
    answers: list[httpx.Response] = []
    with running_server() as server:
        body = {**DRAW, "num_inference_steps": 400}
        thread = threading.Thread(target=lambda: answers.append(server.chat(**body)))
        thread.start()
        server.wait_status("dit", lambda status: status.running == 1)
        server.process.send(signal.SIGTERM)
        thread.join(60)
        assert server.process.wait_exit() == 0
    assert answers[0].status_code == 200
    assert read_picture(answers[0].json())
    wait_gone(list(server.pids.values()))
    with folder:
        assert not list(Path(folder.name).glob("bagel-*"))


def test_sigint_stops_everything_too() -> None:
    with running_server() as server:
        server.process.send(signal.SIGINT)
        assert server.process.wait_exit() == 0
    wait_gone(list(server.pids.values()))


def test_killing_the_launcher_ends_its_children() -> None:
    with running_server() as server:
        server.process.send(signal.SIGKILL)
        server.process.wait_exit()
        wait_gone(list(server.pids.values()))


def test_killing_the_launcher_while_its_children_start_ends_them_too() -> None:
    process = Process("services.cli.main", "serve", "--port", str(free_port()), "--log-format", "json")
    pids = [process.wait_event("started")["pid"] for _ in range(3)]
    process.send(signal.SIGKILL)
    process.wait_exit()
    wait_gone(pids)


def test_a_second_sigint_does_not_wait_for_the_running_request() -> None:
    with running_server() as server:
        thread = threading.Thread(target=ask_in_vain, args=(server, {**DRAW, "num_inference_steps": 1000}))
        thread.start()
        server.wait_status("dit", lambda status: status.running == 1)
        server.process.send(signal.SIGINT)
        server.process.wait_event("stopping")
        server.process.send(signal.SIGINT)
        started = time.monotonic()
        server.process.wait_exit()
        assert time.monotonic() - started < 10
        thread.join(30)
    wait_gone(list(server.pids.values()))


@pytest.mark.parametrize(
    "flags", [("--port", "70000"), ("--kv-pool-tokens", "0"), ("--threads", "-1"), ("--log-level", "foo")]
)
def test_a_wrong_flag_is_one_clear_message(flags: tuple[str, str]) -> None:
    process = Process("services.cli.main", "serve", *flags)
    assert process.wait_exit() == 2
    assert flags[0] in process.tail()
    assert "Traceback" not in process.tail()


def test_a_taken_port_is_one_clear_message() -> None:
    with running_server() as server:
        port = str(server.http.base_url.port)
        second = Process("services.cli.main", "serve", "--port", port)
        assert second.wait_exit() == 78
        assert f"127.0.0.1:{port} cannot be listened on" in second.tail()


def test_a_missing_model_is_one_clear_message() -> None:
    process = Process("services.cli.main", "serve", "/no/such/folder", "--port", str(free_port()))
    assert process.wait_exit() == 78
    assert "/no/such/folder: no such folder" in process.tail()


def test_a_broken_checkpoint_stops_the_node_with_the_reason(tmp_path: Path) -> None:
    for name in ("config.json", "llm_config.json", "vit_config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((ROOT / "tests/golden/checkpoint" / name).read_bytes())
    for name in ("ema.safetensors", "ae.safetensors"):
        (tmp_path / name).write_bytes((ROOT / "tests/golden/checkpoint" / name).read_bytes()[:100_000])
    process = Process("services.cli.main", "serve", str(tmp_path), "--port", str(free_port()), "--log-format", "json")
    assert process.wait_exit(90) == 78
    assert "cut short" in "\n".join(process.lines)


def test_help_is_there_at_once() -> None:
    # Seconds of work, which other work on the machine does not lengthen.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "serve", "--help"], cwd=ROOT, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "--port" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < HELP_LIMIT_S


def test_the_gateway_and_the_launcher_load_no_torch() -> None:
    code = "import sys, services.gateway.__main__, services.launch.serve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
