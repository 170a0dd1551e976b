"""One stage that Ray runs, with the face of a process: whether it lives, whether it is ready, and its end.

Ray makes a stage anew that was ready once and died, with its actor or without; only what ends for good is told on.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import ray
from ray.exceptions import RayActorError, RayError

from bagel.logs import get_logger
from services.launch.plan import ChildSpec, Role
from services.launch.process import Running, Started, StartError
from services.launch.ray_actor import DIED, StageActor, StageOrder

T = TypeVar("T")
PLACED_S = 10.0  # after which it is said that Ray has no place
RETURN_S = 60.0  # in which Ray makes an actor anew
PAUSE_S = 0.25
KILL_S = 3.0


class RayStarter:
    """Starts stages as actors, and everything else here. `orders` by the names of the stages, with their GPUs."""

    def __init__(self, orders: Mapping[str, StageOrder], gpus: Mapping[str, float]) -> None:
        self._orders, self._gpus = orders, gpus

    async def __call__(self, spec: ChildSpec, *more: str) -> Started:
        """Start a child. Raises StartError."""
        if spec.role is not Role.STAGE:
            return await Running.start(spec, *more)
        options = {"num_cpus": 1, "num_gpus": self._gpus[spec.name], "max_restarts": -1}
        try:
            actor = ray.remote(StageActor).options(**options).remote(self._orders[spec.name])
        except (RayError, ValueError) as error:
            raise StartError(f"{spec.name} cannot be started by Ray: {error}") from error
        return RayRunning(spec, actor, options)


class RayRunning:
    """An actor of a child. Needs a running event loop."""

    def __init__(self, spec: ChildSpec, actor: Any, options: Mapping[str, float]) -> None:
        self.spec, self._actor, self._options = spec, actor, options
        self.ready = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._placed = False
        self._life = asyncio.create_task(self._follow())

    @property
    def alive(self) -> bool:
        return not self._life.done()

    async def wait(self) -> int:
        """Its exit status, once it ended and Ray does not make it anew."""
        return await asyncio.shield(self._life)

    def kill(self) -> None:
        """At once."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(0.0))
        elif self._placed:
            self._actor.stop.remote(0.0)  # beside the call that still waits

    async def stop(self, patience_s: float) -> None:
        """Let it finish what it has for so long, and end it."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(patience_s))
        await asyncio.shield(self._ending)

    async def _end(self, patience_s: float) -> None:
        try:
            if self._placed:
                await asyncio.wait_for(_answer(self._actor.stop.remote(patience_s)), patience_s + KILL_S)
        except (TimeoutError, RayError) as error:
            get_logger().warning("killed", child=self.spec.name, reason=str(error).partition("\n")[0])
        ray.kill(self._actor, no_restart=True)
        await asyncio.wait({self._life})

    async def _follow(self) -> int:
        """From life to life of the actor; the last exit status."""
        lives = 0
        try:
            while True:
                begun = await self._begin()
                lives, self._placed = lives + 1, True
                get_logger().info(
                    "started", child=self.spec.name, pid=begun.pid, actor_pid=begun.actor_pid, host=begun.host,
                    life=lives,
                )  # fmt: skip
                try:
                    status = await _answer(self._actor.ready.remote())
                    if status is None:
                        self.ready.set()
                        status = await _answer(self._actor.live.remote())
                except RayActorError as error:
                    if self._ending is not None:
                        return DIED
                    get_logger().warning("actor_lost", child=self.spec.name, reason=_reason(error), restarts="by Ray")
                    continue
                return int(status)
        except (RayError, TimeoutError) as error:
            if self._ending is None:
                get_logger().error("ray_failed", child=self.spec.name, reason=_reason(error))
            return DIED
        finally:
            if self._ending is None:
                ray.kill(self._actor, no_restart=True)

    async def _begin(self) -> Any:
        """The stage's process, once Ray has placed the actor. Raises RayError, TimeoutError."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + RETURN_S
        while True:
            placing = asyncio.ensure_future(_answer(self._actor.begin.remote()))
            done, _ = await asyncio.wait({placing}, timeout=PLACED_S)
            if not done:
                wanted = {name: value for name, value in self._options.items() if name.startswith("num_")}
                get_logger().warning(
                    "waiting_for_ray", child=self.spec.name, **wanted, available=ray.available_resources()
                )
            try:
                return await placing
            except RayActorError:
                if self._ending is not None or loop.time() > deadline_s:
                    raise
                await asyncio.sleep(PAUSE_S)


async def _answer(call: Awaitable[T]) -> T:
    """Of an actor; as a coroutine, which asyncio's own functions take."""
    return await call


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]
