"""The stages that this gateway knows, and which one takes the next request.

Addresses come and go (`discovery`); every stage is watched in the background (`stage`).
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from bagel import wire
from bagel.errors import NotReadyError, RequestError
from bagel.settings import ModelLimits
from bagel.v1 import settings_pb2
from bagel.waiting import sleep_until
from services.gateway.calls import Call
from services.gateway.stage import Stage, watch

HANG_S = 10.0
# What a request waits for stages that were there before: a lone one that died is told of soon, of several one returns.
ALONE_S, SEVERAL_S = 1.0, 20.0


@dataclass(slots=True)
class Stages:
    """All of them. Needs a running event loop."""

    hang_s: float = HANG_S
    thinkers: list[Stage] = field(default_factory=list)
    dits: list[Stage] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)  # what keeps addresses from being known, by source
    _watchers: dict[Stage, "asyncio.Task[None]"] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    def add(self, kind: str, address: str, *, draining_boot: int = 0) -> None:
        """A new or known address; it is watched from now on. The life of `draining_boot` takes nothing new."""
        stages = self._of(kind)
        known = next((stage for stage in stages if stage.address == address), None)
        if known is not None:
            known.listed, known.draining_boot = True, draining_boot
            return
        stage = Stage.at(kind, address)
        stages.append(stage)
        watching = asyncio.create_task(watch(stage, hang_s=self.hang_s, changed=self._tell))
        watching.add_done_callback(lambda _: self._forget(stage))
        self._watchers[stage] = watching

    def unlist(self, kind: str, address: str) -> None:
        """Nobody names this address any more; a stage that still answers there works on."""
        for stage in self._of(kind):
            if stage.address == address:
                stage.listed = False

    async def close(self) -> None:
        """Stop watching and close every channel."""
        self._closed = True
        watchers = list(self._watchers.values())
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

    async def thinker(self, task: str, call: Call, avoid: Collection[Stage] = ()) -> Stage:
        """The least loaded Thinker that has a task, rather none of `avoid`. Raises NotReadyError, RequestError."""
        self._check_task(task)
        return await self._wait(call, self.thinkers, lambda: self._thinker(task, avoid))

    async def dit(self, thinker: Stage, call: Call, avoid: Collection[Stage] = ()) -> Stage:
        """The least loaded DiT that has the Thinker's model, rather none of `avoid`. Raises NotReadyError."""
        return await self._wait(call, self.dits, lambda: self._dit(thinker, avoid))

    def missing(self) -> list[str]:
        """What keeps requests from being served; empty when every task works."""
        reasons = []
        for stages, name in ((self.thinkers, "thinker"), (self.dits, "dit")):
            if not any(stage.ready for stage in stages):
                reasons += [f"{name} at {s.address}: {s.detail}" for s in stages] or [f"no {name} is known"]
        if reasons:
            return reasons + list(self.notes.values())
        if not any(_same_model(t, d) for t in self.thinkers for d in self.dits if t.ready and d.ready):
            return ["thinker and dit serve different models: start both with the same one"]
        return []

    def started(self) -> bool:
        """Whether a Thinker and a DiT were ready once: until then a slow load is no failure."""
        return all(any(stage.was_ready for stage in stages) for stages in (self.thinkers, self.dits))

    def describe(self) -> list[dict[str, str | int]]:
        """Every stage."""
        return [stage.describe() for stage in (*self.thinkers, *self.dits)]

    def model(self) -> settings_pb2.ModelInfo:
        """What the Thinkers serve; those that are away for a moment, too. Raises NotReadyError."""
        for stage in sorted(self.thinkers, key=lambda stage: not stage.ready):
            if stage.model is not None:
                return stage.model
        raise _none_ready(self.thinkers, "Thinker")

    def limits(self) -> ModelLimits:
        """What its model can do. Raises NotReadyError."""
        return wire.limits_from_proto(self.model())

    def _of(self, kind: str) -> list[Stage]:
        return self.thinkers if kind == "thinker" else self.dits

    def _forget(self, stage: Stage) -> None:
        self._of(stage.kind).remove(stage)
        del self._watchers[stage]
        if stage.listed and not self._closed:
            # Named again while its channel was being closed.
            self.add(stage.kind, stage.address)
        self._tell()

    def _tell(self) -> None:
        """Wake those who wait for a stage."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _check_task(self, task: str) -> None:
        known = [stage for stage in self.thinkers if stage.was_ready]
        if known and not any(stage.serves(task) for stage in known):
            served = sorted({name for stage in known if stage.model for name in stage.model.tasks})
            raise RequestError(f"this server was started without {task}; it has {', '.join(served)}", param="model")

    def _thinker(self, task: str, avoid: Collection[Stage]) -> Stage:
        return _pick([stage for stage in self.thinkers if not stage.ready or stage.serves(task)], "Thinker", avoid)

    def _dit(self, thinker: Stage, avoid: Collection[Stage]) -> Stage:
        return _pick([dit for dit in self.dits if not dit.ready or _same_model(thinker, dit)], "DiT", avoid)

    async def _wait(self, call: Call, stages: Sequence[Stage], choose: Callable[[], Stage]) -> Stage:
        """What is chosen now, or once a stage that was ready before has come back."""
        patience_s = SEVERAL_S if len(stages) > 1 else ALONE_S
        until_s = min(call.deadline_s, time.monotonic() + patience_s)
        while True:
            changed = self._changed
            try:
                return choose()
            except NotReadyError:
                if time.monotonic() >= until_s or not any(stage.was_ready for stage in stages):
                    raise
            await sleep_until(changed, until_s)


def _pick(stages: Sequence[Stage], name: str, avoid: Collection[Stage]) -> Stage:
    ready = [stage for stage in stages if stage.ready]
    if not ready:
        raise _none_ready(stages, name)
    return min(ready, key=lambda stage: (stage in avoid, stage.load))


def _none_ready(stages: Sequence[Stage], name: str) -> NotReadyError:
    details = "; ".join(f"{s.address}: {s.detail}" for s in stages) or "none is known"
    return NotReadyError(f"no {name} is ready ({details})")


def _same_model(thinker: Stage, dit: Stage) -> bool:
    if thinker.model is None or dit.model is None:
        return False
    return thinker.model.model_hash == dit.model.model_hash
