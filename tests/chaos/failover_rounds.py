"""DiTs killed and stopped in the middle of pictures, and every process restarted in turn, under requests."""

import asyncio
import os
import signal
import time
from datetime import datetime
from typing import Any

import httpx

from tests.chaos.asking import BODIES, TEXTS, Asking, asked
from tests.chaos.node import STAGES, Node

STOPPED_S = 20.0
NOTICED_S = 15.0
REJOINED_S = 3.0
BACK_S = 60.0
ROLL_S = 300.0
_TRIES = 'bagel_tries_again_total{stage="dit"}'


async def check_kills(node: Node, pictures: int, kills: int, every_s: float) -> list[str]:
    """One DiT of two killed again and again, once another one stopped; what was violated."""
    async with asked(node.url, BODIES) as asking:
        hits = strikes = 0
        answers = figure(node, "bagel_requests_total", 'outcome="ok"') - asking.answered
        began = time.monotonic()
        while hits < kills or asking.answered < pictures:
            if strikes == kills // 2:
                await stop_for_a_while(node)
            await until_ready(node)
            before = figure(node, _TRIES)
            node.refresh()
            os.kill(node.pids[("dit", "dit-1")[strikes % 2]], signal.SIGKILL)
            strikes += 1
            await asyncio.sleep(every_s)
            hits += figure(node, _TRIES) > before
        seconds = time.monotonic() - began
    answers = figure(node, "bagel_requests_total", 'outcome="ok"') - answers
    await until_ready(node)
    print(
        f"DiTs killed: {strikes} in {seconds:.0f} s, {hits} of them drawing, one stopped for {STOPPED_S:.0f} s;"
        f" {asking.answered} pictures as in peace, slowest {asking.slowest_s:.1f} s", flush=True,
    )  # fmt: skip
    twice = [f"kills: {answers:.0f} answers to {asking.answered} requests"] if answers != asking.answered else []
    return faults_of("kills", asking) + twice


async def stop_for_a_while(node: Node) -> None:
    """A DiT that is stopped must be noticed; it goes on afterwards."""
    await until_ready(node)
    node.refresh()
    pid, began = node.pids["dit"], time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        while await asyncio.to_thread(node.ready, len(STAGES)):
            if time.monotonic() - began > NOTICED_S:
                raise AssertionError(f"a stopped DiT was not noticed within {NOTICED_S} s")
            await asyncio.sleep(0.1)
        print(f"a stopped DiT was noticed after {time.monotonic() - began:.1f} s", flush=True)
        await asyncio.sleep(STOPPED_S - (time.monotonic() - began))
    finally:
        os.kill(pid, signal.SIGCONT)


async def check_thinker(node: Node) -> list[str]:
    """A Thinker of two killed with requests on their way: it joins again soon after it listens; what was violated."""
    async with asked(node.url, BODIES + TEXTS) as asking:
        node.refresh()
        before = {event["epoch"] for event in node.events("joined")}
        os.kill(node.pids["thinker"], signal.SIGKILL)
        while not (joined := [e for e in node.events("joined") if e["epoch"] not in before]):
            await asyncio.sleep(0.1)
        await until_ready(node)
    listened = node.events("listening")[-1]
    seconds = (moment_of(joined[0]) - moment_of(listened)).total_seconds()
    print(
        f"a Thinker killed: joined again {seconds:.1f} s after it listened; {asking.answered} answers as in peace,"
        f" slowest {asking.slowest_s:.1f} s", flush=True,
    )  # fmt: skip
    late = [f"thinker: joined again only {seconds:.1f} s after it listened"] if seconds > REJOINED_S else []
    return faults_of("thinker", asking) + late


def moment_of(event: dict[str, Any]) -> datetime:
    """When it was logged."""
    return datetime.fromisoformat(event["timestamp"])


async def check_rolling(node: Node) -> list[str]:
    """SIGHUP: every process anew, with requests on their way; what was violated."""
    async with asked(node.url, BODIES + TEXTS) as asking:
        before, began = dict(node.pids), time.monotonic()
        node.process.send(signal.SIGHUP)
        while not node.events("rolled"):
            if time.monotonic() - began > ROLL_S or node.events("roll_stopped"):
                return [f"rolling: not over after {time.monotonic() - began:.0f} s; {node.events('roll_stopped')}"]
            await asyncio.sleep(0.2)
    node.refresh()
    same = [name for name, pid in node.pids.items() if pid == before[name]]
    print(
        f"rolling restart of {len(node.pids)} processes in {time.monotonic() - began:.0f} s: {asking.answered} answers"
        f" as in peace, slowest {asking.slowest_s:.1f} s", flush=True,
    )  # fmt: skip
    return faults_of("rolling", asking) + [f"rolling: {name} was not restarted" for name in same]


def faults_of(what: str, asking: Asking) -> list[str]:
    """Errors and other answers, as violations."""
    return [f"{what}: {count} x {fault}" for fault, count in asking.faults.items()]


def figure(node: Node, start: str, label: str = "") -> float:
    """Sum of the gateway's samples that begin so and have a label."""
    lines = httpx.get(f"{node.url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start) and label in line)


async def until_ready(node: Node) -> None:
    """Until every replica is back."""
    began = time.monotonic()
    while not await asyncio.to_thread(node.ready, len(STAGES)):
        assert time.monotonic() - began < BACK_S, f"not all replicas came back:\n{node.process.tail()}"
        await asyncio.sleep(0.1)
