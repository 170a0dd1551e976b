"""Showing how far a long load is: a bar with bytes and time left on a terminal, log lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bagel.logs import get_logger

LINE_INTERVAL_S = 2.0


class LoadProgress:
    """Called with (bytes done, bytes in all) from the loading thread; `text` tells anyone how far it is."""

    def __init__(self, label: str, *, bar: bool | None = None) -> None:
        self._label = label
        self._started = self._last_line = time.monotonic()
        self._done = self._total = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if sys.stderr.isatty() if bar is None else bar:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        self._done, self._total = done_bytes, total_bytes
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done_bytes, total=total_bytes)
            return
        now = time.monotonic()
        if now - self._last_line >= LINE_INTERVAL_S or done_bytes == total_bytes:
            self._last_line = now
            get_logger().info("loading", what=self._label, progress=self.text)

    @property
    def loaded_bytes(self) -> tuple[int, int]:
        """Done, and in all; 0 before it began."""
        return self._done, self._total

    @property
    def text(self) -> str:
        """For people: bytes, share and seconds left."""
        if not self._total:
            return f"{self._label}: starting"
        share = self._done / self._total
        left_s = (time.monotonic() - self._started) * (1 - share) / share if share else 0.0
        return f"{self._label}: {self._done / 1e9:.2f} of {self._total / 1e9:.2f} GB ({share:.0%}), {left_s:.0f} s left"
