"""Simulated workers for `benchmarks.registry`: servers that answer GetStatus, and memberships, many in one process."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bagel.logs import configure_logs, get_logger
from bagel.membership import Membership
from tests.services.registry.workers import stage


def main(argv: Sequence[str] | None = None) -> int:
    """Listen, say `waiting`, join on SIGUSR1, stay until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("master")
    parser.add_argument("workers", type=int)
    parser.add_argument("number", help="of this process")
    parser.add_argument("--log-format", default="json")
    options = parser.parse_args(argv)
    configure_logs(service=f"workers-{options.number}", fmt=options.log_format)
    asyncio.run(hold(options.master, options.workers, options.number))
    return 0


async def hold(master: str, workers: int, number: str) -> None:
    """All workers of this process, until SIGTERM."""
    go, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, go.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(stage(f"sim-{number}-{each}")) for each in range(workers)]
        get_logger().info("waiting", workers=len(held))
        await go.wait()
        for worker in held:
            await stack.enter_async_context(Membership(master, token=None, describe=worker.describe))
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
