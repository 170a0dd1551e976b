"""Ten times more pictures asked for than can be drawn: `python -m benchmarks.overload`.

Starts a server with the default model, finds how many pictures a second it draws at its best, then sends ten times as
many, evenly, and never again what was refused. Prints goodput against its peak, how fast refusals came, whether every
request was answered, and memory and pages before and after.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.server import Server, running_server

# The size that the default model has by itself, in half of the default steps.
TASK = {"prompt": "a red circle", "num_inference_steps": 25, "seed": 1}
PATH = "/v1/images/generations"
TIMES = 10
AT_ONCE = 8
REFUSED, DONE = 429, 200
DEADLINE_S = 120.0
Address = tuple[str, int]
GOODPUT_RATIO, REFUSAL_P99_S, MEMORY_GROWTH = 0.95, 0.05, 0.10


@dataclass(slots=True)
class Outcomes:
    """What became of the requests of one phase."""

    statuses: Counter[int] = field(default_factory=Counter)
    refusals_s: list[float] = field(default_factory=list)
    done_at_s: list[float] = field(default_factory=list)


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase")
    parser.add_argument("--max-queue", type=int, default=4)
    options = parser.parse_args(argv)
    with running_server("--max-queue", str(options.max_queue)) as server:
        return asyncio.run(measure(server, options.seconds))


async def measure(server: Server, seconds: float) -> int:
    """Peak, overload, and what is left of it."""
    address = server.http.base_url.host, server.http.base_url.port
    await saturate(address, seconds / 3)  # warm, memory pools filled
    before, pages = resident_bytes(server), free_pages(server)
    peak = len((await saturate(address, seconds)).done_at_s) / seconds
    print(f"peak       {peak:.2f} pictures/s, {AT_ONCE} asked for at once")
    started, sent, found = time.monotonic(), 0, Outcomes()
    async with asyncio.TaskGroup() as group:
        while (now := time.monotonic()) < started + seconds:
            group.create_task(ask(address, found))
            sent += 1
            await asyncio.sleep(max(0.0, started + sent / (TIMES * peak) - now))
    server.wait_idle()
    after, pages_after = resident_bytes(server), free_pages(server)
    # The line is filled in the beginning and drained in the end; between these the rate counts.
    goodput = sum(at < started + seconds for at in found.done_at_s) / seconds
    p99 = percentile(found.refusals_s, 0.99)
    print(f"overload   {sent} sent in {seconds:g} s, {TIMES} x the peak; answers {dict(found.statuses)}")
    print(f"goodput    {goodput:.2f} pictures/s, {goodput / peak:.1%} of the peak")
    print(f"refusals   p50 {percentile(found.refusals_s, 0.5) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
    print(f"lost       {sent - found.statuses.total()}; neither done nor refused"
          f" {sent - found.statuses[DONE] - found.statuses[REFUSED]}")  # fmt: skip
    print(f"memory     {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after ({after / before - 1:+.1%})")
    print(f"pages free {pages} before, {pages_after} after")
    fine = (
        goodput >= GOODPUT_RATIO * peak and p99 < REFUSAL_P99_S and pages == pages_after
        and sent == found.statuses[DONE] + found.statuses[REFUSED] and after < before * (1 + MEMORY_GROWTH)
    )  # fmt: skip
    print("every bar is met" if fine else "a bar is missed")
    return 0 if fine else 1


async def saturate(address: Address, seconds: float) -> Outcomes:
    """As many as the server takes, each caller asking again when it has its picture."""
    found, until = Outcomes(), time.monotonic() + seconds

    async def caller() -> None:
        while time.monotonic() < until:
            await ask(address, found)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(caller())
    found.done_at_s = [at for at in found.done_at_s if at < until]
    return found


async def ask(address: Address, found: Outcomes) -> None:
    """One request on a connection of its own. As plain as can be: a client's work would count against the server."""
    started, body = time.monotonic(), json.dumps(TASK).encode()
    reader, writer = await asyncio.open_connection(*address)
    head = f"POST {PATH} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read(-1)
    writer.close()
    status = int(answer.split(b" ", 2)[1])
    found.statuses[status] += 1
    if status == REFUSED:
        found.refusals_s.append(time.monotonic() - started)
        assert b"\r\nretry-after: " in answer
    elif status == DONE:
        found.done_at_s.append(time.monotonic())


def percentile(values: list[float], part: float) -> float:
    """NaN of nothing."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else float("nan")


def resident_bytes(server: Server) -> int:
    """Of the server's processes and their children."""
    return sum(_resident(pid) for root in server.pids.values() for pid in _tree(root))


def free_pages(server: Server) -> dict[str, int]:
    """Of every stage."""
    return {stage: server.status(stage).free_pages for stage in ("thinker", "dit")}


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _tree(int(child))


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    sys.exit(main())
