"""From one gateway to the next on the same socket, which their launcher owns: neither a refused nor a lost request."""

import asyncio
import socket
import time

from services.gateway.stages import Stages

LOOK_S = 0.05


def sockets_of(fd: int | None) -> list[socket.socket] | None:
    """The listening socket that was handed down; None without one."""
    return None if fd is None else [socket.socket(fileno=fd)]


async def until_known(stages: Stages, within_s: float) -> None:
    """Until every task could be served; not longer than that. A successor takes no request before."""
    deadline_s = time.monotonic() + within_s
    while stages.missing() and time.monotonic() < deadline_s:
        await asyncio.sleep(LOOK_S)
