"""The one thread that owns a process's device, and for how long it has been at its present piece of work.

Knows nothing of what it runs. Engines of one process share it: their pieces come in the order in which they were
handed over, so that engines which hand over one piece at a time take turns.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class DeviceThread:
    """A context manager; its end waits for the piece under way."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._since_s: float | None = None  # written by the device thread alone, as a whole

    def __enter__(self) -> "DeviceThread":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()

    @property
    def busy_s(self) -> float:
        """Seconds since the present piece began; 0 when idle. From any thread, never waits."""
        since_s = self._since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def run(self, piece: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        """Hand over a piece of work; its outcome. From a running event loop; a piece that has begun runs to its end."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._timed, piece, *arguments)

    def _timed(self, piece: Callable[..., T], *arguments: object) -> T:
        self._since_s = time.monotonic()
        try:
            return piece(*arguments)
        finally:
            self._since_s = None
