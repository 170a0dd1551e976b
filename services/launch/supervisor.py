"""Keeps a node's processes alive: starts them all, restarts what crashes, stops everything in order.

Knows processes, not what they do. Stopping lets the gateway finish its requests before the stages go.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from bagel.logs import get_logger
from bagel.stage_exit import EXIT_CONFIG
from services.launch.plan import ChildSpec, Role
from services.launch.process import Running, Started, Starter, StartError
from services.launch.terminal import forget_terminal, has_terminal

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 10.0
SETTLED_S = 10.0  # a child that was ready and lived so long starts with a clean slate
MAX_QUICK_CRASHES = 5  # of one that never served; any other is tried for ever
KILL_AFTER_S = 5.0
HANGUP_S = 2.0  # within which shell and kernel both tell of a closed terminal


class Child:
    """One child through all its processes."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.now: Started | None = None
        self.before: Started | None = None  # still finishes what it has, while its successor serves
        self.wanted = False  # its end is no crash
        self.started = asyncio.Event()  # or its start has failed
        self.starting = asyncio.Lock()

    @property
    def living(self) -> list[Started]:
        return [each for each in (self.before, self.now) if each is not None and each.alive]


class Supervisor:
    """The processes of one node. `drain_s` is what running requests get when it stops. `roll` answers SIGHUP.

    `start` makes them, here unless it does so elsewhere.
    """

    def __init__(
        self, specs: Sequence[ChildSpec], *, drain_s: float,
        roll: "Callable[[Supervisor], Awaitable[None]] | None" = None, start: Starter = Running.start,
    ) -> None:  # fmt: skip
        self.children = [Child(spec) for spec in specs]
        self._drain_s, self._roll, self._start = drain_s, roll, start
        self._rolling: asyncio.Task[None] | None = None
        self.over = asyncio.Event()
        self._status = 0
        self._on_terminal = has_terminal()
        self._under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    async def run(self) -> int:
        """Until SIGINT or SIGTERM, or until a child cannot run; the exit status."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._on_signal)
        if self._roll is not None:
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        keepers = [asyncio.create_task(self._keep(child)) for child in self.children]
        await self.over.wait()
        await self._stop_all()
        await asyncio.gather(*keepers, *([self._rolling] if self._rolling is not None else []))
        return self._status

    @property
    def stop_patience_s(self) -> float:
        """What one child gets to finish, and to end."""
        return self._drain_s + KILL_AFTER_S

    async def restart(self, child: Child) -> Started:
        """Stop a child and let its keeper start it anew; its new process, or the ended one where none can start.

        Raises asyncio.CancelledError at the end.
        """
        assert child.now is not None
        child.started.clear()
        child.wanted = True
        await child.now.stop(self.stop_patience_s)
        await child.started.wait()
        assert child.now is not None
        return child.now

    async def succeed(self, child: Child, *more: str) -> Started:
        """Start a successor beside a child, which goes on until `retire`. Raises StartError."""
        async with child.starting:
            successor = await self._start(child.spec, *more)
            child.before, child.now = child.now, successor
        return successor

    async def retire(self, child: Child) -> None:
        """End the one that has a successor."""
        if child.before is not None:
            await child.before.stop(self.stop_patience_s)
            child.before = None

    async def go_back(self, child: Child) -> None:
        """End a successor that is not ready; the one before goes on."""
        assert child.now is not None
        failed, child.now, child.before = child.now, child.before, None
        await failed.stop(KILL_AFTER_S)

    def _on_signal(self) -> None:
        """The first signal stops in order, a second one at once."""
        if self.over.is_set():
            get_logger().warning("killing_all")
            for running in (each for child in self.children for each in child.living):
                running.kill()
        self.over.set()

    def _on_hangup(self) -> None:
        """SIGHUP: a terminal that was closed, or somebody who wants all processes anew."""
        assert self._roll is not None
        if self._on_terminal and not has_terminal():
            if self._under_nohup:
                get_logger().info("hangup_ignored", reason="the terminal was closed, and nohup said to go on")
                asyncio.get_running_loop().call_later(HANGUP_S, self._leave_terminal)
                return
            forget_terminal()
            self._on_signal()
            return
        if self.over.is_set() or (self._rolling is not None and not self._rolling.done()):
            get_logger().warning("roll_ignored", reason="the node stops" if self.over.is_set() else "one goes on")
            return
        self._rolling = asyncio.ensure_future(self._roll(self))

    def _leave_terminal(self) -> None:
        """From now on a hangup is somebody's word."""
        self._on_terminal = False

    async def _keep(self, child: Child) -> None:
        """Start one child again and again, until stopping."""
        delay_s, crashes, has_served = FIRST_DELAY_S, 0, False
        while not self.over.is_set():
            since, child.wanted = time.monotonic(), False
            status = await self._live(child)
            if self.over.is_set():
                return
            ready = child.now is not None and child.now.ready.is_set()
            settled = ready and time.monotonic() - since > SETTLED_S
            has_served |= child.wanted or settled or (ready and child.spec.tells_ready)
            if child.wanted:
                continue
            if settled:
                delay_s, crashes = FIRST_DELAY_S, 0
            crashes += 1
            if status == EXIT_CONFIG or crashes > MAX_QUICK_CRASHES:
                if not has_served:
                    get_logger().error("gave_up", child=child.spec.name, exit_status=status, crashes=crashes)
                    self._status = status if status is not None and status > 0 else 1
                    self.over.set()
                    return
                delay_s = MAX_DELAY_S  # the rest of the node goes on, and this one joins once it can
            get_logger().warning("crashed", child=child.spec.name, exit_status=status, restart_in_s=delay_s)
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, MAX_DELAY_S)

    async def _live(self, child: Child) -> int | None:
        """Start a child and wait for its end: its exit status; None when it could not be started."""
        try:
            async with child.starting:
                if child.now is None or not child.now.alive:  # else a successor took over from one that crashed
                    child.now = await self._start(child.spec)
        except StartError as error:
            get_logger().error("not_started", child=child.spec.name, reason=str(error))
            return None
        finally:
            child.started.set()
        if self.over.is_set():
            # Everything was told to stop while this one was being started.
            await child.now.stop(KILL_AFTER_S)
        return await self._end(child)

    async def _end(self, child: Child) -> int:
        """The exit status of a child's last process: one that has a successor ends unnoticed."""
        while True:
            running = child.now
            assert running is not None
            status = await running.wait()
            if child.now is running:
                return status

    async def _pause(self, seconds: float) -> None:
        """Wait, unless everything stops first."""
        try:
            await asyncio.wait_for(self.over.wait(), seconds)
        except TimeoutError:
            return

    async def _stop_all(self) -> None:
        """The gateway first, so that its requests can end; then the stages; what names them last."""
        get_logger().info("stopping", drain_s=self._drain_s)
        drained = False
        for role in Role:
            children = [child for child in self.children if child.spec.role is role]
            # Stages whose gateway is another node's have requests of their own to finish.
            patience_s = KILL_AFTER_S if drained else self.stop_patience_s
            await asyncio.gather(*(each.stop(patience_s) for child in children for each in child.living))
            drained |= bool(children)
