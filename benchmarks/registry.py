"""One registry and many workers: `python -m benchmarks.registry`.

Starts a registry process and processes that hold simulated workers: each a gRPC server of its own on a port of its own,
which the registry dials back, and a Membership as a stage has it. Then says go and watches: seconds until all have
joined, the registry's share of a core while they beat, and seconds until one that is stopped (not closed) is missed.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bagel.watching import Watched, watch_members
from tests.processes import Process

JOINED_S, CPU_PERCENT, LOST_S = 2.0, 10.0, 15.0
BEAT_S = 5.0  # what the registry tells its workers by itself
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement and its bar."""

    name: str
    found: float
    bar: float
    unit: str

    @property
    def held(self) -> bool:
        return self.found <= self.bar


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the registry's CPU is measured")
    options = parser.parse_args(argv)
    rows, registry_s = asyncio.run(measure(options.workers, options.processes, options.seconds))
    print(f"{options.workers} workers in {options.processes} processes on {os.cpu_count()} cores,"
          f" {options.workers / BEAT_S:g} heartbeats/s")  # fmt: skip
    print(
        f"CPU of the registry while they joined: {registry_s:.2f} s, {registry_s / options.workers * 1e3:.2f} ms a join"
    )
    print(f"{'':44}{'found':>12}{'bar':>8}")
    for row in rows:
        mark = "" if row.held else "  MISSED"
        print(f"{row.name:44}{row.found:>9.2f} {row.unit:2}{row.bar:>8g}{mark}")
    return 0 if all(row.held for row in rows) else 1


async def measure(workers: int, processes: int, seconds: float) -> tuple[list[Row], float]:
    """The three measurements, and the registry's CPU seconds while all joined."""
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(started("services.registry", "--bind", "127.0.0.1:0"))
        master = (await event(registry, "listening"))["address"]
        crowd = [
            await stack.enter_async_context(started("benchmarks.registry_workers", master, str(share), str(number)))
            for number, share in enumerate([workers // processes] * processes + [1])
        ]
        for process in crowd:
            await event(process, "waiting")
        alone = crowd.pop()
        members: set[str] = set()
        changes = watch_members(master, token=None)
        apply(await anext(changes), members)
        spent_s, began_s = cpu_s(registry.pid), time.monotonic()
        for process in crowd:
            process.send(signal.SIGUSR1)
        async with asyncio.timeout(LIMIT_S):
            while len(members) < workers:
                apply(await anext(changes), members)
        joined_s, joining_cpu_s = time.monotonic() - began_s, cpu_s(registry.pid) - spent_s
        alone.send(signal.SIGUSR1)
        async with asyncio.timeout(LIMIT_S):
            while len(members) <= workers:
                apply(await anext(changes), members)
            await asyncio.sleep(BEAT_S)  # the joins' own work is over
        spent_s, began_s = cpu_s(registry.pid), time.monotonic()
        await asyncio.sleep(seconds)
        percent = 100 * (cpu_s(registry.pid) - spent_s) / (time.monotonic() - began_s)
        if len(members) <= workers:
            raise SystemExit("a worker was lost while nothing happened")
        lost_s = await missed_after(alone, changes, members, workers)
    rows = [
        Row("all joined, each dialled back", joined_s, JOINED_S, "s"),
        Row("the registry's share of a core", percent, CPU_PERCENT, "%"),
        Row("a stopped worker is missed after", lost_s, LOST_S, "s"),
    ]
    return rows, joining_cpu_s


async def missed_after(alone: Process, changes: AsyncIterator[Watched], members: set[str], workers: int) -> float:
    """Seconds from stopping a process, whose connection stays, until watchers hear that its worker is gone."""
    alone.send(signal.SIGSTOP)
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(LIMIT_S):
            while len(members) > workers:
                apply(await anext(changes), members)
    finally:
        alone.send(signal.SIGCONT)
    return time.monotonic() - began_s


def apply(change: Watched, members: set[str]) -> None:
    """What the watcher knows."""
    members.update(member.worker_id for member in change.changed)
    members.difference_update(change.left)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all threads, in itself and in the kernel."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def started(module: str, *arguments: str) -> AsyncIterator[Process]:
    """A process for the time of a block."""
    process = Process(module, *arguments, "--log-format", "json")
    try:
        yield process
    finally:
        await asyncio.to_thread(process.stop)


async def event(process: Process, name: str) -> dict[str, str]:
    """A line of its log."""
    return await asyncio.to_thread(process.wait_event, name)


if __name__ == "__main__":
    sys.exit(main())
