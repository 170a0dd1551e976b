"""Keeps a node's processes alive: starts them all, restarts what crashes, stops everything in order.

Knows processes, not what they do. Stopping lets the gateway finish its requests before the stages go.
"""

import asyncio
import signal
import time
from collections.abc import Sequence

from bagel.logs import get_logger
from bagel.stage_exit import EXIT_CONFIG
from services.launch.plan import ChildSpec

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 10.0
SETTLED_S = 60.0  # a child that lived so long starts with a clean slate
MAX_QUICK_CRASHES = 5
KILL_AFTER_S = 5.0


class Supervisor:
    """The processes of one node. `drain_s` is what running requests get when it stops."""

    def __init__(self, specs: Sequence[ChildSpec], *, drain_s: float) -> None:
        self._specs, self._drain_s = specs, drain_s
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = False
        self._over = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Until SIGINT or SIGTERM, or until a child cannot run; the exit status."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._on_signal)
        keepers = [asyncio.create_task(self._keep(spec)) for spec in self._specs]
        await self._over.wait()
        self._stopping = True
        await self._stop_all()
        await asyncio.gather(*keepers)
        return self._status

    def _on_signal(self) -> None:
        """The first signal stops in order, a second one at once."""
        if self._over.is_set():
            get_logger().warning("killing_all")
            for process in self._processes.values():
                if process.returncode is None:
                    process.kill()
        self._over.set()

    async def _keep(self, spec: ChildSpec) -> None:
        """Start one child again and again, until stopping."""
        delay_s, crashes = FIRST_DELAY_S, 0
        while not self._stopping:
            started = time.monotonic()
            # A session of its own: Ctrl-C reaches the supervisor alone, which then stops children in order.
            process = await asyncio.create_subprocess_exec(*spec.command, start_new_session=True)
            self._processes[spec.name] = process
            get_logger().info("started", child=spec.name, pid=process.pid)
            if self._stopping:
                # Everything was told to stop while this one was being started.
                await self._stop([spec.name], KILL_AFTER_S)
                return
            status = await process.wait()
            if self._stopping:
                return
            if time.monotonic() - started > SETTLED_S:
                delay_s, crashes = FIRST_DELAY_S, 0
            crashes += 1
            if status == EXIT_CONFIG or crashes > MAX_QUICK_CRASHES:
                get_logger().error("gave_up", child=spec.name, exit_status=status, crashes=crashes)
                self._status = status if status > 0 else 1
                self._over.set()
                return
            get_logger().warning("crashed", child=spec.name, exit_status=status, restart_in_s=delay_s)
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, MAX_DELAY_S)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless everything stops first."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return

    async def _stop_all(self) -> None:
        """The gateway first, so that its requests can end; then the stages."""
        get_logger().info("stopping", drain_s=self._drain_s)
        names = [spec.name for spec in self._specs]
        await self._stop([name for name in names if name == "gateway"], self._drain_s + KILL_AFTER_S)
        await self._stop([name for name in names if name != "gateway"], KILL_AFTER_S)

    async def _stop(self, names: Sequence[str], patience_s: float) -> None:
        living = [self._processes[name] for name in names if name in self._processes]
        living = [process for process in living if process.returncode is None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        waiting = [asyncio.ensure_future(process.wait()) for process in living]
        if waiting:
            await asyncio.wait(waiting, timeout=patience_s)
        for process in living:
            if process.returncode is None:
                get_logger().warning("killed", pid=process.pid)
                process.kill()
                await process.wait()
