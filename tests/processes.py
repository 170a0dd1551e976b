"""Real processes for tests: started with JSON logs, watched line by line, always stopped."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 90.0


class Process:
    """A child process whose log events can be waited for."""

    def __init__(self, module: str, *arguments: str, prefix: Sequence[str] = ()) -> None:
        self.command = [*prefix, sys.executable, "-m", module, *arguments]
        self._child = subprocess.Popen(
            self.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def wait_event(self, name: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """The next log event of that name; fails when the process ends or time runs out first."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {name!r} within {timeout_s} s:\n{self.tail()}") from None
            if event is None:
                raise AssertionError(f"the process ended before {name!r}:\n{self.tail()}")
            if event.get("event") == name:
                return event

    def send(self, signum: signal.Signals) -> None:
        self._child.send_signal(signum)

    def wait_exit(self, timeout_s: float = 60.0) -> int:
        status = self._child.wait(timeout_s)
        self._reader.join(timeout_s)
        return status

    def stop(self) -> int:
        """SIGTERM, then SIGKILL; the exit status."""
        if self._child.poll() is None:
            self.send(signal.SIGTERM)
        try:
            return self.wait_exit(30.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self.wait_exit(10.0)

    def tail(self) -> str:
        return "\n".join(self.lines[-40:])

    def _read(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip())
                if line.startswith("{"):
                    self._events.put(json.loads(line))
        self._events.put(None)


@contextmanager
def running(module: str, *arguments: str) -> Iterator[Process]:
    """A process for the time of a block."""
    process = Process(module, *arguments)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def running_stage(module: str, *arguments: str) -> Iterator[tuple[Process, str]]:
    """A stage that is ready, and its gRPC address."""
    with running(module, "--log-format", "json", "--plain-progress", *arguments) as process:
        address = process.wait_event("listening")["address"]
        process.wait_event("ready")
        yield process, address
