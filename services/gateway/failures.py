"""A stage that failed a request, and what may mend it. The one translation of gRPC statuses on a request's way."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import grpc

from services.gateway.errors import ApiError, from_rpc
from services.gateway.stage import Stage, Stream


class Remedy(Enum):
    """What another try needs."""

    NONE = "none"  # it would fail again
    ELSEWHERE = "elsewhere"  # another stage; a lease that stands serves once more
    ANEW = "anew"  # a new context too: the old one is gone, or cannot be trusted


_REMEDIES = {
    grpc.StatusCode.UNAVAILABLE: Remedy.ELSEWHERE,
    grpc.StatusCode.CANCELLED: Remedy.ELSEWHERE,  # by a stage that stops
    grpc.StatusCode.ABORTED: Remedy.ANEW,
    grpc.StatusCode.DATA_LOSS: Remedy.ANEW,
    grpc.StatusCode.FAILED_PRECONDITION: Remedy.ANEW,
    grpc.StatusCode.DEADLINE_EXCEEDED: Remedy.ANEW,  # of a transfer: with the request's own, there is no time to try
}


class StageFailure(Exception):
    """`error` is what the client hears if nothing helps."""

    def __init__(self, stage: Stage, remedy: Remedy, error: ApiError) -> None:
        super().__init__(error.message)
        self.stage, self.remedy, self.error = stage, remedy, error


@contextmanager
def given(stage: Stage, stream: Stream, cost: float) -> Iterator[None]:
    """Count a call as its stage's load for the time of a block, and cancel it in the end."""
    stage.calls[stream] = cost
    try:
        yield
    finally:
        del stage.calls[stream]
        stream.cancel()


@contextmanager
def heard(stage: Stage) -> Iterator[None]:
    """Read from a call that the stage was given. Raises StageFailure."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        remedy = _REMEDIES.get(error.code(), Remedy.NONE)
        raise StageFailure(stage, remedy, from_rpc(error, stage.kind)) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled this task: the call itself was ended, because its stage stands still.
        message = f"the {stage.kind} at {stage.address} was lost: {stage.detail}"
        lost = ApiError(status=503, message=message, type="server_error", code="stage_unavailable")
        raise StageFailure(stage, Remedy.ELSEWHERE, lost) from None
