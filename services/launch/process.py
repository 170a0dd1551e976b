"""One started process: whether it lives, whether it is ready, and its end."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable
from typing import Protocol

from bagel.logs import get_logger
from services.launch.plan import ChildSpec


class StartError(Exception):
    """A process that cannot be started; the text says why."""


class Started(Protocol):
    """What a supervisor keeps alive, wherever it runs. `ready` is set when it serves."""

    spec: ChildSpec
    ready: asyncio.Event

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""

    async def wait(self) -> int:
        """Its exit status, once it ended."""

    def kill(self) -> None:
        """At once."""

    async def stop(self, patience_s: float) -> None:
        """Let it finish what it has for so long, and end it."""


class Starter(Protocol):
    """How a child is started, with some flags more. Raises StartError."""

    def __call__(self, spec: ChildSpec, *more: str) -> Awaitable[Started]: ...


class Running:
    """A process of a child. `ready` is set when it says over its pipe that it serves."""

    def __init__(self, spec: ChildSpec, process: Process) -> None:
        self.spec, self._process = spec, process
        self.ready = asyncio.Event()
        if not spec.tells_ready:
            self.ready.set()

    @classmethod
    async def start(cls, spec: ChildSpec, *more: str) -> "Running":
        """Start it, with some flags more. Raises StartError."""
        try:
            return await cls._start(spec, *more)
        except (OSError, ValueError) as error:
            # No file handles or memory left, no such program, an environment that cannot be handed over.
            raise StartError(f"{spec.name} cannot be started: {error}") from error

    @classmethod
    async def _start(cls, spec: ChildSpec, *more: str) -> "Running":
        reading, writing = os.pipe()
        telling = ("--ready-fd", str(writing)) if spec.tells_ready else ()
        try:
            # A session of its own: Ctrl-C reaches the supervisor alone, which then stops children in order.
            process = await asyncio.create_subprocess_exec(
                *spec.command, *telling, *more, start_new_session=True, pass_fds=(*spec.fds, writing),
                env={**os.environ, **spec.env},
            )  # fmt: skip
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        running = cls(spec, process)
        asyncio.get_running_loop().add_reader(reading, running._hear, reading)
        get_logger().info("started", child=spec.name, pid=process.pid)
        return running

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Its exit status, once it ended."""
        return await self._process.wait()

    def kill(self) -> None:
        """At once."""
        if self.alive:
            self._process.kill()

    async def stop(self, patience_s: float) -> None:
        """SIGTERM; SIGKILL when it is still there after its time."""
        if not self.alive:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), patience_s)
        except TimeoutError:
            get_logger().warning("killed", child=self.spec.name, pid=self.pid)
            self.kill()
            await self._process.wait()

    def _hear(self, reading: int) -> None:
        """A byte: it serves. The end of the pipe without one: it ended before that."""
        if os.read(reading, 1):
            self.ready.set()
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
