"""SIGHUP: every process anew, one after the other, with nobody noticing where each kind has more than one.

A stage drains, ends and comes back, and is ready before the next one goes. The gateway's successor serves from the same
socket before the old one stops; where it cannot, because a port cannot be shared, new connections wait in the socket.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bagel.logs import get_logger
from services.launch.plan import Role
from services.launch.process import Started, StartError
from services.launch.supervisor import Child, Supervisor

READY_S = 900.0  # weights of a large model from a slow disk
LISTED_S = 30.0
POLL_S = 0.1
# A gateway that takes over takes requests only once it knows the stages.
SUCCESSOR_FLAGS = ("--wait-stages-s", "20")
_ORDER = (Role.STAGE, Role.REGISTRY, Role.GATEWAY)

ReadyStages = Callable[[], Awaitable[int | None]]


class RollError(Exception):
    """A process did not come back; what is left goes on as it is."""


async def roll(supervisor: Supervisor, ready_stages: ReadyStages | None) -> None:
    """Restart everything in order. `ready_stages` counts what the gateway lists, where one is here."""
    started = time.monotonic()
    get_logger().info("rolling", children=len(supervisor.children))
    try:
        for child in supervisor.children:
            if child.now is None or not await is_ready(child.now):
                raise RollError(f"{child.spec.name} is not ready; send SIGHUP again once it is")
        for role in _ORDER:
            for child in (each for each in supervisor.children if each.spec.role is role):
                await _until_over(supervisor, _renew(supervisor, child, ready_stages))
    except RollError as error:
        get_logger().error("roll_stopped", reason=str(error))
        return
    get_logger().info("rolled", seconds=round(time.monotonic() - started, 1))


async def _renew(supervisor: Supervisor, child: Child, ready_stages: ReadyStages | None) -> None:
    name = child.spec.name
    get_logger().info("renewing", child=name)
    if child.spec.overlaps:
        try:
            successor = await supervisor.succeed(child, *SUCCESSOR_FLAGS)
        except StartError as error:
            raise RollError(f"{error}; the old one goes on") from error
        if not await is_ready(successor):
            await supervisor.go_back(child)
            raise RollError(f"a new {name} ended, or was not ready within {READY_S:.0f} s; the old one goes on")
        await supervisor.retire(child)
        return
    counted = ready_stages if child.spec.role is Role.STAGE else None
    # All of this node; those of other nodes come and go.
    least = sum(each.spec.role is Role.STAGE for each in supervisor.children)
    listed = 0 if counted is None else await _listed(counted, least)
    if not await is_ready(await supervisor.restart(child)):
        raise RollError(f"{name} did not come back: it ended again, or was not ready within {READY_S:.0f} s")
    if counted is not None:
        await _listed(counted, listed)


async def _listed(counted: ReadyStages, least: int) -> int:
    """How many stages the gateway lists, once they are enough."""
    deadline = time.monotonic() + LISTED_S
    while (found := await counted()) is None or found < least:
        if time.monotonic() > deadline:
            raise RollError(f"the gateway did not list {least} ready stages within {LISTED_S:.0f} s, but {found or 0}")
        await asyncio.sleep(POLL_S)
    return found


async def is_ready(running: Started) -> bool:
    """Whether it says that it serves, in time and before it ends."""
    waiting = [asyncio.ensure_future(running.ready.wait()), asyncio.ensure_future(running.wait())]
    await asyncio.wait(waiting, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return running.ready.is_set() and running.alive


async def _until_over(supervisor: Supervisor, work: Awaitable[None]) -> None:
    """Raises RollError when everything stops meanwhile."""
    working, over = asyncio.ensure_future(work), asyncio.ensure_future(supervisor.over.wait())
    await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
        raise RollError("the node stops")
    working.result()
