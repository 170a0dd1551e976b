"""A stage as a Ray actor: a process beside the actor's own, so that neither takes the other down unnoticed.

Until its stage is ready, the actor tells how it ended; whoever started it then knows what to say. From then on it ends
with its stage, and Ray makes both anew, on another node if need be. Loads no Ray: Ray's worker loads this.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bagel.logs import configure_logs, get_logger
from services.launch.plan import ChildSpec, adopted
from services.launch.process import Running, StartError

DIED = 1
THREADS = "OMP_NUM_THREADS"  # Ray limits its workers to one


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOrder:
    """What an actor runs. `files` are texts by the paths that the command names, which may be another host's."""

    spec: ChildSpec
    files: Mapping[str, str] = field(default_factory=dict)
    threads: str | None = None  # of OpenMP, where somebody said so
    log_format: str = "auto"
    log_level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where a stage's process was started."""

    host: str
    pid: int
    actor_pid: int


class StageActor:
    """One life of a stage. Made anew by Ray after the end of another; all calls share one event loop."""

    def __init__(self, order: StageOrder) -> None:
        os.environ.pop(THREADS, None)
        if order.threads is not None:
            os.environ[THREADS] = order.threads
        configure_logs(service="ray", fmt=order.log_format, level=order.log_level)
        self._order = order
        self._running: Running | None = None
        self._stopping = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __repr__(self) -> str:
        """What Ray writes before its lines."""
        return self._order.spec.name

    async def begin(self) -> Begun:
        """Start the process. Raises StartError."""
        if self._running is None:
            self._running = await Running.start(self._spec())
        return Begun(host=os.uname().nodename, pid=self._running.pid, actor_pid=os.getpid())

    async def ready(self) -> int | None:
        """None once it serves; its exit status if it ended before that."""
        running = self._begun()
        ended, ready = asyncio.ensure_future(running.wait()), asyncio.ensure_future(running.ready.wait())
        await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
        for each in (ended, ready):
            each.cancel()
        if self._folder is not None:
            self._folder.cleanup()  # what was in it has been read
        return None if running.ready.is_set() else await running.wait()

    async def live(self) -> int:
        """The exit status of a stage that was told to stop. After `ready`: any other end ends this process, too."""
        status = await self._begun().wait()
        if not self._stopping:
            get_logger().warning("stage_died", child=self._order.spec.name, exit_status=status)
            sys.stderr.flush()
            os._exit(DIED)
        return status

    async def stop(self, patience_s: float) -> int:
        """Let it finish what it has for so long, and end it; the exit status."""
        self._stopping = True
        if self._running is None:
            return 0
        await self._running.stop(patience_s)
        return await self._running.wait()

    def _begun(self) -> Running:
        if self._running is None:
            raise StartError(f"{self._order.spec.name} was not begun in this life")
        return self._running

    def _spec(self) -> ChildSpec:
        """The command with files of this host, and this process as its parent."""
        found: dict[str, str] = {}
        if self._order.files:
            self._folder = tempfile.TemporaryDirectory(prefix="bagel-")
        for number, (path, text) in enumerate(self._order.files.items()):
            assert self._folder is not None
            own = Path(self._folder.name) / f"{number}-{Path(path).name}"
            own.write_text(text, encoding="utf-8")
            found[path] = str(own)
        spec = adopted(self._order.spec)
        return replace(spec, command=tuple(found.get(word, word) for word in spec.command))
