"""`python -m tests.chaos.bombs`: hostile requests against a server in use; others' times, and memory.

Others ask for small pictures one after the other, first alone, then while an attacker throws every bomb of the list in
turn and holds 200 connections whose headers never end. Prints the others' times, what became of the bombs, and memory.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.overload import percentile, resident_bytes
from tests.e2e.server import Server, picture, running_server, text, user
from tests.services.gateway.bombs import BOMBS

CHAT, GENERATIONS = b"/v1/chat/completions", "/v1/images/generations"
SMALL: dict[str, Any] = {"prompt": "a red circle", "size": "128x128", "num_inference_steps": 10, "seed": 1}
SLOW_CONNECTIONS = 200
PAUSE_S = 0.2
PIECE = bytes(1 << 20)
P99_RATIO, GROWTH = 1.2, 0.10
# Who goes on sending after an answer finds the connection closed, and may lose the answer with it.
REFUSED = frozenset({0, 400, 408, 413, 429, 431})
PATIENCE_S = 60.0


@dataclass(slots=True)
class Attack:
    """What was thrown, and what the server said."""

    answers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    slowest_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    slow_ended: int = 0
    peak_bytes: int = 0


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase")
    options = parser.parse_args(argv)
    with running_server() as server:
        return asyncio.run(measure(server, options.seconds))


async def measure(server: Server, seconds: float) -> int:
    """Others alone, then beside the attacker."""
    async with httpx.AsyncClient(base_url=server.http.base_url, timeout=120) as client:
        await others(client, seconds / 3)
        await throw_all(server, Attack())  # what a first picture or a first 64 MiB leave behind is no leak
        before = resident_bytes(server)
        alone = await others(client, seconds)
        attack = Attack()
        attacking = asyncio.create_task(keep_attacking(server, attack))
        beside = await others(client, seconds)
        attacking.cancel()
        await asyncio.wait({attacking})
        await others(client, 1.0)
    server.wait_idle()
    return report(alone, beside, attack, before, resident_bytes(server))


def report(alone: list[float], beside: list[float], attack: Attack, before: int, after: int) -> int:
    """Print; 1 when a bar is missed."""
    ratio = percentile(beside, 0.99) / percentile(alone, 0.99)
    for name, times in (("alone", alone), ("beside", beside)):
        middle, late = percentile(times, 0.5), percentile(times, 0.99)
        print(f"others {name:<7} {len(times)} requests, p50 {middle:.3f} s, p99 {late:.3f} s")
    print(f"p99 ratio      {ratio:.2f}")
    for name, statuses in attack.answers.items():
        print(
            f"  {name:<24} {len(statuses)} thrown, answers {sorted(set(statuses))},"
            f" slowest {attack.slowest_s[name]:.2f} s"
        )
    print(f"  {'slow headers':<24} {SLOW_CONNECTIONS} held at once, {attack.slow_ended} ended by the server")
    print(f"memory         {before / 1e6:.0f} MB before, {attack.peak_bytes / 1e6:.0f} at most, {after / 1e6:.0f} after"
          f" ({after / before - 1:+.1%})")  # fmt: skip
    refused = all(status in REFUSED for statuses in attack.answers.values() for status in statuses)
    fine = refused and ratio < P99_RATIO and after < before * (1 + GROWTH)
    print("every bar is met" if fine else "a bar is missed")
    return 0 if fine else 1


async def others(client: httpx.AsyncClient, seconds: float) -> list[float]:
    """Seconds of small pictures, one after the other."""
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        (await client.post(GENERATIONS, json=SMALL)).raise_for_status()
        times.append(time.monotonic() - started)
    return times


async def keep_attacking(server: Server, attack: Attack) -> None:
    """Until cancelled."""
    async with asyncio.TaskGroup() as group:
        for _ in range(SLOW_CONNECTIONS):
            group.create_task(slow_headers(server, attack))
        while True:
            await throw_all(server, attack)


async def throw_all(server: Server, attack: Attack) -> None:
    """Every bomb once."""
    host, port = server.http.base_url.host, server.http.base_url.port or 80
    for name, pieces in BOMBS_AS_SENT.items():
        started = time.monotonic()
        attack.answers[name].append(await throw(host, port, pieces))
        attack.slowest_s[name] = max(attack.slowest_s[name], time.monotonic() - started)
        attack.peak_bytes = max(attack.peak_bytes, resident_bytes(server))
        await asyncio.sleep(PAUSE_S)


async def throw(host: str, port: int, pieces: Iterable[bytes]) -> int:
    """Send until everything is sent or the server closes; its status, 0 where it closed without one."""
    reader, writer = await asyncio.open_connection(host, port)
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    try:
        async with asyncio.timeout(PATIENCE_S):
            with suppress(OSError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            with suppress(OSError, asyncio.IncompleteReadError):
                return int((await answer).split()[1])
        return 0
    finally:
        answer.cancel()
        writer.close()


def post(body: bytes, *headers: bytes) -> list[bytes]:
    """A request in one piece."""
    lines = [b"POST " + CHAT + b" HTTP/1.1", b"host: x", b"content-length: %d" % len(body), *headers]
    return [b"\r\n".join(lines) + b"\r\n\r\n" + body]


def endless(head: bytes, piece: bytes, count: int) -> Iterable[bytes]:
    """A head, and a piece again and again."""
    return _Repeated(head, piece, count)


@dataclass(frozen=True, slots=True)
class _Repeated:
    head: bytes
    piece: bytes
    count: int

    def __iter__(self) -> Iterator[bytes]:
        yield b"POST " + CHAT + b" HTTP/1.1\r\nhost: x\r\n" + self.head
        for _ in range(self.count):
            yield self.piece


BOMBS_AS_SENT: dict[str, Iterable[bytes]] = {
    **{
        name: post(json.dumps({"messages": user(picture(data), text("What?"))}).encode())
        for name, data in BOMBS.items()
    },
    "10,000 deep": post(b"[" * 10_000 + b"]" * 10_000),
    "millions of lists": post(b"[" + b"[]," * 5_000_000 + b"[]]"),
    "64 MiB of headers": endless(b"x-long: ", b"x" * (1 << 20), 64),
    "600 MB announced": endless(b"content-length: 600000000\r\n\r\n", PIECE, 600),
    "600 MB unannounced": endless(b"transfer-encoding: chunked\r\n\r\n", b"%x\r\n" % len(PIECE) + PIECE + b"\r\n", 600),
}


async def slow_headers(server: Server, attack: Attack) -> None:
    """One connection that sends a byte a second, opened again whenever the server ends it."""
    while True:
        reader, writer = await asyncio.open_connection(server.http.base_url.host, server.http.base_url.port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nx-slow: ")
            while not reader.at_eof() and not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 1.0)
            attack.slow_ended += 1
        except OSError:
            attack.slow_ended += 1
        finally:
            writer.close()


if __name__ == "__main__":
    sys.exit(main())
