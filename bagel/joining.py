"""A stage at its master: one membership for each kind of work, from when its model is known until it has drained."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bagel.members import Kind, Load, Member, MemberState
from bagel.membership import Membership


@dataclass(frozen=True, slots=True)
class FoundModel:
    """The model that a stage has found: its name, and the hash that all stages must agree on."""

    name: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joiner:
    """What a stage says of itself at `master`. `load` and `state` are asked anew for every heartbeat."""

    master: str
    token: str | None
    worker_id: str | None
    kinds: tuple[Kind, ...]
    address: str
    boot_epoch: int
    state: Callable[[], MemberState]
    load: Callable[[], Load]

    def membership(self, kind: Kind, model: FoundModel) -> Membership:
        """One kind's membership, not begun yet."""

        def describe() -> Member:
            return Member(
                worker_id=self._worker_id(kind),
                kind=kind,
                address=self.address,
                model_name=model.name,
                model_hash=model.hash,
                boot_epoch=self.boot_epoch,
                state=self.state(),
                load=self.load(),
            )

        return Membership(self.master, token=self.token, describe=describe)

    def _worker_id(self, kind: Kind) -> str:
        if self.worker_id is None:
            return f"{kind}-{socket.gethostname()}-{self.address}"
        return self.worker_id if len(self.kinds) == 1 else f"{self.worker_id}-{kind}"


@asynccontextmanager
async def joining(
    joiner: Joiner | None, model: "asyncio.Future[FoundModel]", on_change: Callable[[Callable[[], None]], None]
) -> AsyncIterator["asyncio.Future[None]"]:
    """Join once the model is known; leave with the block. Nothing happens without a joiner.

    `on_change` is handed what tells the master of a new state. Yields a future that fails with a ConfigError when the
    master refuses the stage, and never ends otherwise.
    """
    if joiner is None:
        yield asyncio.get_running_loop().create_future()
        return
    refused = asyncio.create_task(_stay(joiner, model, on_change))
    try:
        yield refused
    finally:
        refused.cancel()
        await asyncio.wait({refused})


async def _stay(
    joiner: Joiner, model: "asyncio.Future[FoundModel]", on_change: Callable[[Callable[[], None]], None]
) -> None:
    found = await model
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(joiner.membership(kind, found)) for kind in joiner.kinds]
        for membership in held:
            on_change(membership.tell)
        done, _ = await asyncio.wait({each.task for each in held}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        # Other processes took every id: it serves on, without being known.
        await asyncio.get_running_loop().create_future()
