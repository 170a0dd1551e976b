"""The master is away for a minute: whoever lives works on, and joins again when it is back."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.chaos.asking import BODIES, TEXTS, asked
from tests.chaos.failover_rounds import REJOINED_S, faults_of
from tests.ports import free_port
from tests.processes import Process

FLAGS = ("--threads", "1", "--kv-pool-tokens", "8192", "--plain-progress", "--log-format", "json")


def check_outage(seconds: float) -> list[str]:
    """A registry of its own, a gateway, a Thinker and two DiTs; what was violated."""
    port, master = free_port(), f"127.0.0.1:{free_port()}"
    registry = ("services.registry", "--bind", master, "--log-format", "json")
    with ExitStack() as stack:

        def start(module: str, *flags: str) -> Process:
            process = Process(module, *flags)
            stack.callback(process.stop)
            return process

        first = start(*registry)
        gateway = start("services.gateway", "--port", str(port), "--master", master, "--log-format", "json")
        stages = [start(f"services.{kind}", "--master", master, *FLAGS) for kind in ("thinker", "dit", "dit")]
        for stage in stages:
            stage.wait_event("joined")
            stage.wait_event("ready")
        for _ in stages:
            gateway.wait_event("stage_changed")
        answers, again = asyncio.run(_without(seconds, f"http://127.0.0.1:{port}", first, lambda: start(*registry)))
        began = time.monotonic()
        for stage in stages:
            stage.wait_event("joined")
        took_s = time.monotonic() - began
    print(f"master away for {seconds:.0f} s: {answers} answers as in peace; all joined again after {took_s:.1f} s",
          flush=True)  # fmt: skip
    return again + ([f"outage: joined again only after {took_s:.1f} s"] if took_s > REJOINED_S else [])


async def _without(
    seconds: float, url: str, first: Process, start_again: Callable[[], Process]
) -> tuple[int, list[str]]:
    """Answers, and what was wrong with others, while the first registry is dead; another one begins then."""
    async with asked(url, BODIES + TEXTS) as asking:
        first.send(signal.SIGKILL)
        await asyncio.sleep(seconds)
    start_again().wait_event("listening")
    return asking.answered, faults_of("outage", asking)
