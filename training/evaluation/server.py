"""`bagel serve` for as long as it is needed. Knows nothing of what is asked of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
_POLL_S = 0.2


@contextmanager
def server_at(url: str | None, model: str | None, log_path: Path) -> Iterator[str]:
    """The address of a server: the given one, or one that is started on a free port and stopped afterwards.

    Raises RuntimeError when it does not become ready in time. `model` is the default one if it is None.
    """
    if url is not None:
        yield url.rstrip("/")
        return
    port = _free_port()
    command = [sys.executable, "-m", "services.cli.main", "serve", *([model] if model else []), "--port", str(port)]
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            _wait_ready(server, port, log_path)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(STOP_TIMEOUT_S)


def _wait_ready(server: "subprocess.Popen[bytes]", port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with status {server.returncode}; see {log_path}")
        if _is_ready(port):
            return
        time.sleep(_POLL_S)
    raise RuntimeError(f"the server was not ready within {START_TIMEOUT_S:.0f} s; see {log_path}")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            json.load(response)
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
