"""One stage as this gateway sees it: where it is, how it is, what it was given. Watches it in the background.

A stage may come, go and come back at any time. Calls to one that stands still are ended here, so that requests can go
elsewhere; calls to one that died end by themselves.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from bagel.logs import get_logger
from bagel.rpc import open_channel
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc

STATUS_TIMEOUT_S = 2.0
MAX_LATE_ANSWERS = 3
WATCH_READY_S = 2.0
WATCH_WAITING_S = 0.2
STATE_NAMES = {
    settings_pb2.STAGE_STATE_LOADING: "loading",
    settings_pb2.STAGE_STATE_READY: "ready",
    settings_pb2.STAGE_STATE_DRAINING: "draining",
    settings_pb2.STAGE_STATE_FAILED: "failed",
}
Stream: TypeAlias = "grpc.aio.UnaryStreamCall[Any, Any]"


@dataclass(slots=True, eq=False)
class Stage:
    """One Thinker or DiT."""

    kind: str
    address: str
    channel: grpc.aio.Channel
    stub: thinker_pb2_grpc.ThinkerStub | dit_pb2_grpc.DitStub
    status: settings_pb2.StageStatus | None = None
    problem: str = "not tried yet"
    model: settings_pb2.ModelInfo | None = None  # of its last status as ready, kept while it is away
    listed: bool = True  # by whoever told its address
    draining_boot: int = 0  # boot number of a life that drains, as told by a registry
    calls: dict[Stream, float] = field(default_factory=dict)  # on their way, with their cost
    others: int = 0  # requests of other gateways, at the last look

    @classmethod
    def at(cls, kind: str, address: str) -> "Stage":
        """Opens a channel, which connects on first use."""
        channel = open_channel(address)
        stub = thinker_pb2_grpc.ThinkerStub(channel) if kind == "thinker" else dit_pb2_grpc.DitStub(channel)
        return cls(kind, address, channel, stub)

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        status = self.status
        if status is None or status.epoch == self.draining_boot != 0:
            return False
        return status.state == settings_pb2.STAGE_STATE_READY

    @property
    def was_ready(self) -> bool:
        """At least once."""
        return self.model is not None

    @property
    def gone(self) -> bool:
        """Nobody names it any more, nothing answers there, and nothing is on its way: forget it."""
        return not self.listed and self.status is None and not self.calls

    @property
    def load(self) -> float:
        """Cost of what it has to do; 1 is an ordinary request."""
        return sum(self.calls.values()) + self.others

    @property
    def detail(self) -> str:
        """What it is doing, for people."""
        return self.problem if self.status is None else self.status.detail

    def serves(self, task: str) -> bool:
        """Whether it was started with a task; one that does not say has them all."""
        return self.model is not None and (not self.model.tasks or task in self.model.tasks)

    def lose(self, problem: str) -> None:
        """It stands still: end the calls to it."""
        self.status, self.problem = None, problem
        for stream in list(self.calls):
            stream.cancel()

    def describe(self) -> dict[str, str | int]:
        """For `/readyz`; as old as the last look at the stage."""
        known: dict[str, str | int] = {"stage": self.kind, "address": self.address, "detail": self.detail}
        status = self.status
        if status is None:
            return known | {"state": "unreachable"}
        known["state"] = STATE_NAMES.get(status.state, "unknown")
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


async def watch(stage: Stage, *, hang_s: float, changed: Callable[[], None]) -> None:
    """Look at a stage again and again, until it is gone. Its channel is closed then."""
    connection = _Connection(stage.channel)
    late = 0
    try:
        while not stage.gone:
            before = stage.ready
            late = await _look(stage, late, hang_s)
            if stage.ready != before:
                get_logger().info("stage_changed", stage=stage.kind, address=stage.address, detail=stage.detail)
                changed()
            if stage.ready and not late:
                await connection.wait_lost(WATCH_READY_S)
            else:
                await asyncio.sleep(WATCH_WAITING_S)
    finally:
        connection.close()
        await stage.channel.close()


async def _look(stage: Stage, late: int, hang_s: float) -> int:
    """Ask a stage how it is; how many answers in a row were late by now."""
    try:
        status: settings_pb2.StageStatus = await stage.stub.GetStatus(
            settings_pb2.GetStatusRequest(), timeout=STATUS_TIMEOUT_S
        )
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
            stage.status, stage.problem = None, _unreachable(error)
            return 0
        # A busy machine may answer late; only one that is late again and again is away.
        if late + 1 >= MAX_LATE_ANSWERS:
            stage.lose(f"answers no more (nothing within {STATUS_TIMEOUT_S:g} s, {MAX_LATE_ANSWERS} times)")
        return late + 1
    if status.device_busy_s > hang_s:
        stage.lose(f"its device has been on one piece of work for {status.device_busy_s:.0f} s (--hang-s {hang_s:g})")
        return 0
    stage.status = status
    if stage.ready:
        stage.model = status.model
    stage.others = max(0, status.running + status.queued - len(stage.calls))
    return 0


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
