"""A task's way through the stages: Thinker for text; Thinker, lease, DiT for a picture. Yields what happens.

Owns the lease: the open call to the Thinker, cancelled in the end whatever happened. Knows nothing of HTTP.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from bagel import wire
from bagel.errors import DeadlineError
from bagel.rpc import metadata
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, settings_pb2, thinker_pb2, thinker_pb2_grpc
from services.gateway.errors import from_rpc
from services.gateway.prompts import Text
from services.gateway.stages import Stage, Stages
from services.gateway.tasks import Task

PREVIEW_SIDE_PX = 512
LATE = "the request's deadline passed before its answer was ready"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place in the line, 0 for the next; seconds until it begins, as far as is known."""

    position: int
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Admitted:
    """The wait in the line is over; one that did not wait hears nothing of it."""

    queue_s: float


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer, or of the thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Denoising steps done of one of the pictures."""

    picture: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """One of the pictures on the way, encoded; `index` counts its previews."""

    picture: int
    index: int
    data: bytes
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class TextResult:
    """The whole answer, or the whole thought."""

    text: str
    finish_reason: str
    work: thinker_pb2.ThinkerWork


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished picture, encoded."""

    index: int
    data: bytes
    height: int
    width: int
    seed: int


@dataclass(frozen=True, slots=True)
class ImageResult:
    """Every picture of a request, and what they cost."""

    pictures: tuple[Drawn, ...]
    thinker: thinker_pb2.ThinkerWork
    fetched: dit_pb2.Fetched
    dit: dit_pb2.DitDone
    unique_bytes: int
    unique_pages: int


Happening = Waiting | Admitted | TextDelta | TextResult | Progress | Preview | Drawn | ImageResult
Drawing: TypeAlias = "grpc.aio.UnaryStreamCall[dit_pb2.GenerateRequest, dit_pb2.GenerateEvent]"


@dataclass(frozen=True, slots=True)
class Call:
    """Names one try of a request, whose it is, and when it must be over, on the monotonic clock."""

    request_id: str
    deadline_s: float
    attempt: int = 1
    caller: str = ""  # name of its API key, if keys are asked for
    sent_id: str | None = None  # the client's own id for it

    @property
    def proto(self) -> kv_pb2.RequestId:
        """For messages."""
        return kv_pb2.RequestId(id=self.request_id, attempt=self.attempt)

    def timeout_s(self) -> float:
        """Seconds left. Raises DeadlineError."""
        left = self.deadline_s - time.monotonic()
        if left <= 0:
            raise DeadlineError(LATE)
        return left

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """A block that must end before the deadline. Raises DeadlineError."""
        try:
            async with asyncio.timeout(self.timeout_s()):
                yield
        except TimeoutError:
            raise DeadlineError(LATE) from None


async def run_text(task: Task, stages: Stages, call: Call) -> AsyncGenerator[Happening, None]:
    """Answer with text. Raises ApiError, NotReadyError."""
    thinker = stages.thinker()
    assert isinstance(thinker.stub, thinker_pb2_grpc.ThinkerStub)
    assert task.decode is not None
    request = thinker_pb2.GenerateTextRequest(
        request=call.proto, segments=_segments(task), think=task.think, decode=wire.decode_to_proto(task.decode)
    )
    with _stage_errors(thinker):
        stream = thinker.stub.GenerateText(request, timeout=call.timeout_s(), metadata=metadata(call.request_id))
        try:
            async for event in stream:
                match event.WhichOneof("event"):
                    case "delta":
                        yield TextDelta(event.delta.text)
                    case "done":
                        reason = wire.reason_from_proto(event.done.finish_reason)
                        yield TextResult(event.done.text, reason, event.done.work)
        finally:
            stream.cancel()


async def run_image(task: Task, stages: Stages, call: Call) -> AsyncGenerator[Happening, None]:
    """Make a picture; with think, its thought first. Raises ApiError, NotReadyError."""
    thinker = stages.thinker()
    dit = stages.dit(thinker)
    assert isinstance(thinker.stub, thinker_pb2_grpc.ThinkerStub)
    with _stage_errors(thinker):
        lease = thinker.stub.PrepareContext(
            _context_request(task, call), timeout=call.timeout_s(), metadata=metadata(call.request_id)
        )
        drawing, prepared = None, thinker_pb2.Prepared()
        try:
            async for event in lease:
                match event.WhichOneof("event"):
                    case "handle":
                        # The DiT fetches what is final while the Thinker works on the rest.
                        drawing = _start_drawing(task, dit, call, event.handle)
                    case "delta":
                        yield TextDelta(event.delta.text)
                    case "prepared":
                        prepared = event.prepared
                        break
            if task.think:
                yield TextResult(prepared.thought, wire.reason_from_proto(prepared.finish_reason), prepared.work)
            assert drawing is not None, "a context was prepared that nobody can fetch"
            with _stage_errors(dit):
                async for drawn in _follow_drawing(drawing, prepared):
                    yield drawn
        finally:
            # The DiT first: the end of the lease would look like a failure to it.
            if drawing is not None:
                drawing.cancel()
            lease.cancel()


def _start_drawing(task: Task, dit: Stage, call: Call, handle: kv_pb2.KvHandle) -> Drawing:
    assert isinstance(dit.stub, dit_pb2_grpc.DitStub)
    assert task.sampler is not None
    request = dit_pb2.GenerateRequest(
        request=call.proto,
        handle=handle,
        sampler=wire.sampler_to_proto(task.sampler),
        seed=task.seed,
        n=task.count,
        output=dit_pb2.OutputSettings(format=wire.format_to_proto(task.output_format), quality=task.quality),
        previews=dit_pb2.PreviewSettings(count=task.previews, max_side_px=PREVIEW_SIDE_PX),
    )
    drawing: Drawing = dit.stub.Generate(request, timeout=call.timeout_s(), metadata=metadata(call.request_id))
    return drawing


async def _follow_drawing(drawing: Drawing, prepared: thinker_pb2.Prepared) -> AsyncGenerator[Happening, None]:
    fetched = dit_pb2.Fetched()
    pictures: list[Drawn] = []
    previews = Counter[int]()
    async for event in drawing:
        match event.WhichOneof("event"):
            case "fetched":
                fetched = event.fetched
            case "step":
                yield Progress(event.step.picture, event.step.done, event.step.total)
            case "preview":
                seen = event.preview
                yield Preview(seen.picture, previews[seen.picture], seen.data, seen.size.height, seen.size.width)
                previews[seen.picture] += 1
            case "picture":
                made = event.picture
                pictures.append(Drawn(made.index, made.data, made.size.height, made.size.width, made.seed))
                yield pictures[-1]
            case "done":
                yield ImageResult(
                    tuple(pictures), prepared.work, fetched, event.done, prepared.unique_bytes, prepared.unique_pages
                )


def _context_request(task: Task, call: Call) -> thinker_pb2.PrepareContextRequest:
    return thinker_pb2.PrepareContextRequest(
        request=call.proto,
        segments=_segments(task),
        think=task.think,
        decode=wire.decode_to_proto(task.decode) if task.decode else None,
        negative_prompt=task.negative_prompt,
        roles=wire.roles_to_proto(task.roles),
        size=settings_pb2.ImageSize(height=task.size[0], width=task.size[1]) if task.size else None,
    )


def _segments(task: Task) -> list[settings_pb2.Segment]:
    messages = []
    for segment in task.segments:
        if isinstance(segment, Text):
            text = settings_pb2.TextSegment(text=segment.text, raw=segment.raw)
            messages.append(settings_pb2.Segment(text=text))
        else:
            image = settings_pb2.EncodedImage(data=task.images[segment.index])
            messages.append(settings_pb2.Segment(image=image))
    return messages


@contextmanager
def _stage_errors(stage: Stage) -> Iterator[None]:
    """Count the request against the stage and translate its statuses."""
    stage.in_flight += 1
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error, stage.kind) from error
    finally:
        stage.in_flight -= 1
