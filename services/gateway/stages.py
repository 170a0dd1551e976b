"""The stages that this gateway knows: their addresses, how they are, and which one takes the next request.

Watches every stage in the background. A stage may come, go and come back at any time and in any order.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from bagel import wire
from bagel.errors import NotReadyError
from bagel.logs import get_logger
from bagel.rpc import open_channel
from bagel.settings import ModelLimits
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc

STATUS_TIMEOUT_S = 2.0
MAX_LATE_ANSWERS = 3
WATCH_READY_S = 2.0
WATCH_WAITING_S = 0.2
_STATE_NAMES = {
    settings_pb2.STAGE_STATE_LOADING: "loading",
    settings_pb2.STAGE_STATE_READY: "ready",
    settings_pb2.STAGE_STATE_DRAINING: "draining",
    settings_pb2.STAGE_STATE_FAILED: "failed",
}


@dataclass(slots=True)
class Stage:
    """One Thinker or DiT."""

    kind: str
    address: str
    channel: grpc.aio.Channel
    stub: thinker_pb2_grpc.ThinkerStub | dit_pb2_grpc.DitStub
    status: settings_pb2.StageStatus | None = None
    problem: str = "not tried yet"
    in_flight: int = 0
    was_ready: bool = False  # at least once

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.status is not None and self.status.state == settings_pb2.STAGE_STATE_READY

    @property
    def detail(self) -> str:
        """What it is doing, for people."""
        return self.problem if self.status is None else self.status.detail

    def describe(self) -> dict[str, str | int]:
        """For `/readyz`; as old as the last look at the stage."""
        known: dict[str, str | int] = {"stage": self.kind, "address": self.address, "detail": self.detail}
        status = self.status
        if status is None:
            return known | {"state": "unreachable"}
        known["state"] = _STATE_NAMES.get(status.state, "unknown")
        if not self.ready:
            return known | {"loaded_bytes": status.loaded_bytes, "total_bytes": status.total_bytes}
        return known | {
            "device": status.model.device,
            "dtype": status.model.dtype,
            "peak_memory_bytes": status.peak_memory_bytes,
            "total_pages": status.total_pages,
            "free_pages": status.free_pages,
            "running": status.running,
            "queued": status.queued,
        }


@dataclass(slots=True)
class Stages:
    """All of them."""

    thinkers: list[Stage] = field(default_factory=list)
    dits: list[Stage] = field(default_factory=list)
    _watchers: list["asyncio.Task[None]"] = field(default_factory=list)

    @classmethod
    def connect(cls, thinkers: Sequence[str], dits: Sequence[str]) -> "Stages":
        """Open channels and start watching. Needs a running event loop; never fails."""
        stages = cls()
        for address in thinkers:
            channel = open_channel(address)
            stages.thinkers.append(Stage("thinker", address, channel, thinker_pb2_grpc.ThinkerStub(channel)))
        for address in dits:
            channel = open_channel(address)
            stages.dits.append(Stage("dit", address, channel, dit_pb2_grpc.DitStub(channel)))
        stages._watchers = [asyncio.create_task(_watch(stage)) for stage in (*stages.thinkers, *stages.dits)]
        return stages

    async def close(self) -> None:
        """Stop watching and close every channel."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for stage in (*self.thinkers, *self.dits):
            await stage.channel.close()

    def thinker(self) -> Stage:
        """The least loaded Thinker. Raises NotReadyError."""
        return _pick(self.thinkers, "Thinker")

    def dit(self, thinker: Stage) -> Stage:
        """The least loaded DiT that has the Thinker's model. Raises NotReadyError."""
        return _pick([dit for dit in self.dits if not dit.ready or _same_model(thinker, dit)], "DiT")

    def missing(self) -> list[str]:
        """What keeps requests from being served; empty when every task works."""
        reasons = []
        for stages, name in ((self.thinkers, "thinker"), (self.dits, "dit")):
            if not any(stage.ready for stage in stages):
                reasons += [f"{name} at {s.address}: {s.detail}" for s in stages] or [f"no {name} is known"]
        if not reasons and not any(_same_model(t, d) for t in self.thinkers for d in self.dits if t.ready and d.ready):
            reasons.append("thinker and dit serve different models: start both with the same one")
        return reasons

    def started(self) -> bool:
        """Whether a Thinker and a DiT were ready once: until then a slow load is no failure."""
        return all(any(stage.was_ready for stage in stages) for stages in (self.thinkers, self.dits))

    def describe(self) -> list[dict[str, str | int]]:
        """Every stage."""
        return [stage.describe() for stage in (*self.thinkers, *self.dits)]

    def model(self) -> settings_pb2.ModelInfo:
        """What the Thinker serves. Raises NotReadyError."""
        status = self.thinker().status
        assert status is not None
        return status.model

    def limits(self) -> ModelLimits:
        """What its model can do. Raises NotReadyError."""
        return wire.limits_from_proto(self.model())


async def _watch(stage: Stage) -> None:
    late = 0
    connection = _Connection(stage.channel)
    try:
        while True:
            was_ready = stage.ready
            try:
                stage.status = await stage.stub.GetStatus(settings_pb2.GetStatusRequest(), timeout=STATUS_TIMEOUT_S)
                late = 0
            except grpc.aio.AioRpcError as error:
                # A busy machine may answer late; only one that is late again and again is away.
                late += error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED or late >= MAX_LATE_ANSWERS:
                    stage.status, stage.problem = None, _unreachable(error)
            stage.was_ready |= stage.ready
            if stage.ready != was_ready:
                get_logger().info("stage_changed", stage=stage.kind, address=stage.address, detail=stage.detail)
            if stage.ready:
                await connection.wait_lost(WATCH_READY_S)
            else:
                await asyncio.sleep(WATCH_WAITING_S)
    finally:
        connection.close()


class _Connection:
    """Notices at once when a channel's connection ends: a stage that died is away before the next look at it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        # One for as long as the connection stands: gRPC cannot take back a watch on a channel's state.
        self._lost: asyncio.Future[None] | None = None

    async def wait_lost(self, timeout_s: float) -> None:
        """Until the connection ends, or the time does."""
        if self._lost is None or self._lost.done():
            self._lost = asyncio.ensure_future(self._channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
        await asyncio.wait({self._lost}, timeout=timeout_s)

    def close(self) -> None:
        """Stop watching; the channel is closed next."""
        if self._lost is not None:
            self._lost.cancel()


def _unreachable(error: grpc.aio.AioRpcError) -> str:
    """The last cause alone: gRPC's own text repeats the address for every attempt."""
    cause = (error.details() or error.code().name).rsplit("last error: ", 1)[-1]
    return f"cannot be reached yet ({cause.rsplit('connect: ', 1)[-1]})"


def _pick(stages: Sequence[Stage], name: str) -> Stage:
    ready = [stage for stage in stages if stage.ready]
    if not ready:
        details = "; ".join(f"{s.address}: {s.detail}" for s in stages) or "none is configured"
        raise NotReadyError(f"no {name} is ready ({details})")
    return min(ready, key=lambda stage: stage.in_flight)


def _same_model(thinker: Stage, dit: Stage) -> bool:
    assert thinker.status is not None
    assert dit.status is not None
    return thinker.status.model.model_hash == dit.status.model.model_hash
