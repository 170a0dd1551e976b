"""`bagel serve` for as long as it is needed. Knows nothing of what is asked of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo import STOP_TIMEOUT_S, free_port, wait_ready


@contextmanager
def server_at(url: str | None, model: str | None, log_path: Path) -> Iterator[str]:
    """The address of a server: the given one, or one that is started on a free port and stopped afterwards.

    Ends the program with the reason when it does not become ready in time. `model` is the default one if it is None.
    """
    if url is not None:
        yield url.rstrip("/")
        return
    port = free_port()
    command = [sys.executable, "-m", "services.cli.main", "serve", *([model] if model else []), "--port", str(port)]
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            wait_ready(server, port, log_path)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(STOP_TIMEOUT_S)
