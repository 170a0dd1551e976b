"""Programs that stand between a client and the server: started, waited for over HTTP, always stopped."""

import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

READY_TIMEOUT_S = 150.0
STOP_TIMEOUT_S = 15.0
ASKING_EVERY_S = 0.25


@contextmanager
def running_program(
    command: Sequence[str], *, environment: dict[str, str], folder: Path, health_url: str
) -> Iterator[list[str]]:
    """A program that answers its health URL, for the time of a block; the lines it printed so far."""
    child = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines: list[str] = []
    printed: queue.Queue[None] = queue.Queue()

    def read() -> None:
        assert child.stdout is not None
        with child.stdout as stream:
            for line in stream:
                lines.append(line.rstrip())
                printed.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        _wait_ready(child, lines, printed, health_url)
        yield lines
    finally:
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_TIMEOUT_S)
        reader.join(STOP_TIMEOUT_S)


def _wait_ready(
    child: "subprocess.Popen[str]", lines: list[str], printed: "queue.Queue[None]", health_url: str
) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            if httpx.get(health_url, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        said = "\n".join(lines[-40:])
        assert child.poll() is None, f"ended with {child.returncode}:\n{said}"
        assert time.monotonic() < deadline_s, f"not ready within {READY_TIMEOUT_S} s:\n{said}"
        try:
            printed.get(timeout=ASKING_EVERY_S)
        except queue.Empty:
            continue
