"""The command `bagel` as people use it: run to its end, left running, or on a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT

BAGEL = (sys.executable, "-m", "services.cli.main")
TIMEOUT_S = 90.0
PRESSES, AGAIN_S = 3, 20.0
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(url: str | None = None, **more: str) -> dict[str, str]:
    """Of a new process; `url` is what BAGEL_URL says."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("BAGEL_")}
    return {**mine, "PYTHONPATH": str(ROOT), **({} if url is None else {"BAGEL_URL": url}), **more}


def bagel(
    *arguments: str, url: str | None = None, cwd: Path = ROOT, said: str = "", prefix: tuple[str, ...] = (), **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; `said` is its stdin, `more` its environment."""
    return subprocess.run(
        [*prefix, *BAGEL, *arguments], cwd=cwd, env=environment(url, **more), input=said, capture_output=True,
        text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip


@contextmanager
def started(*arguments: str, url: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command on its way; its signals are ours to send."""
    with subprocess.Popen(
        [*BAGEL, *arguments], cwd=cwd, env=environment(url), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """A command with a terminal of 100 columns in true colours."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid, self._fd = pid, fd
        self.raw = b""
        self._seen = 0

    @property
    def text(self) -> str:
        """Everything written so far, without colours and movements."""
        return _CONTROLS.sub("", self.raw.decode(errors="replace"))

    def wait(self, text: str) -> None:
        """Until a text stands behind the one that was waited for before."""
        while (found := self.text.find(text, self._seen)) < 0:
            assert self._read(), f"it ended before {text!r}:\n{self.text}"
        self._seen = found + len(text)

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_exit(self) -> int:
        """The exit status, after all that is still written."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def interrupt_until_exit(self) -> int:
        """The exit status after Ctrl-C at a prompt: Python's line editing misses a signal that comes between its prompt
        and its wait for keys, and a person presses again."""
        for _ in range(PRESSES):
            self.send("\x03")
            if select.select([self._fd], [], [], AGAIN_S)[0]:
                return self.wait_exit()
        raise AssertionError(f"Ctrl-C does not end it:\n{self.text}")

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], TIMEOUT_S)
        assert ready, f"nothing came for {TIMEOUT_S} s:\n{self.text}"
        try:
            piece = os.read(self._fd, 1 << 16)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.raw += piece
        return bool(piece)


@contextmanager
def on_terminal(*arguments: str, url: str, cwd: Path) -> Iterator[Terminal]:
    """A command on a terminal for the time of a block, which must see its end."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", "LINES": "50"}
        os.execve(sys.executable, [*BAGEL, *arguments], environment(url, **settings))
    try:
        yield Terminal(pid, fd)
    finally:
        os.close(fd)  # the rest of it gets a hangup
