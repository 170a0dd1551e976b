"""Peers as tests see them: real processes that hold or read pages, always ended."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.processes import ROOT

PATIENCE_S = 60.0


class PeerProcess:
    """A `tests.transport.peer` process; methods of its `Peer` are called with `do`.

    `wrapped` is a command that becomes the process, such as one that gives it a network of its own.
    """

    def __init__(self, *wrapped: str) -> None:
        self._child = subprocess.Popen(
            [*wrapped, sys.executable, "-m", "tests.transport.peer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def do(self, command: str, **arguments: Any) -> Any:
        """Run a command and wait for its answer."""
        self.tell(command, **arguments)
        return self.hear()

    def tell(self, command: str, **arguments: Any) -> None:
        """Run a command; its answer is heard later."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._child.stdin.flush()

    def hear(self, patience_s: float = PATIENCE_S) -> Any:
        """The next answer."""
        line = self._answers.get(timeout=patience_s)
        assert line, "the peer ended"
        answer = json.loads(line)
        assert "raised" not in answer, answer
        return answer["value"]

    def send(self, signum: signal.Signals) -> None:
        self._child.send_signal(signum)

    def pause(self) -> None:
        """Stop it, and wait until it stands still."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        self._child.kill()
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.wait()

    def stop(self) -> None:
        """End it in order, and at once if it does not."""
        self.send(signal.SIGCONT)
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as lines:
            for line in lines:
                self._answers.put(line)
        self._answers.put("")


@contextmanager
def peer_process(*wrapped: str) -> Iterator[PeerProcess]:
    """A peer for the time of a block."""
    peer = PeerProcess(*wrapped)
    try:
        yield peer
    finally:
        peer.stop()
