"""A task's way through the stages: Thinker for text; Thinker, lease, DiT for a picture. Yields what happens.

Owns the lease: the open call to the Thinker, cancelled in the end whatever happened. A stage that is lost with a
request is replaced by another: a DiT draws from the lease that stands, and where that is gone the context is made anew.
Only the last try is listened to, so there is never a second answer. Knows nothing of HTTP.
"""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import TypeAlias

import grpc

from bagel import wire
from bagel.rpc import metadata
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, settings_pb2, thinker_pb2, thinker_pb2_grpc
from services.gateway.calls import Call
from services.gateway.costs import cost_of
from services.gateway.failures import Remedy, StageFailure, given, heard
from services.gateway.happenings import (
    Drawn,
    Happening,
    ImageResult,
    Preview,
    Progress,
    TextDelta,
    TextResult,
)
from services.gateway.prompts import Text
from services.gateway.stage import Stage
from services.gateway.stages import Stages
from services.gateway.tasks import Task
from services.gateway.tries import Told, Tries

PREVIEW_SIDE_PX = 512
Drawing: TypeAlias = "grpc.aio.UnaryStreamCall[dit_pb2.GenerateRequest, dit_pb2.GenerateEvent]"


async def run(task: Task, stages: Stages, call: Call) -> AsyncGenerator[Happening, None]:
    """Answer a task, trying again where a stage is lost with it. Raises ApiError, BagelError."""
    tries, told = Tries(call), Told()
    while True:
        thinker = await stages.thinker(task.name, call, tries.failed)
        cost = cost_of(task, stages.limits())
        told.begin_text()
        if task.sampler is None:
            trying = _write(task, thinker, call, tries, cost)
        else:
            trying = _make(task, stages, thinker, call, tries, cost)
        try:
            async with aclosing(trying):
                async for what in trying:
                    if (news := told.news(what)) is not None:
                        yield news
            return
        except StageFailure as failure:
            again = tries.again(failure)
        yield again


async def _write(task: Task, thinker: Stage, call: Call, tries: Tries, cost: float) -> AsyncGenerator[Happening, None]:
    assert isinstance(thinker.stub, thinker_pb2_grpc.ThinkerStub)
    assert task.decode is not None
    request = thinker_pb2.GenerateTextRequest(
        request=call.proto(tries.number), segments=_segments(task), think=task.think,
        decode=wire.decode_to_proto(task.decode),
    )  # fmt: skip
    stream = thinker.stub.GenerateText(request, timeout=call.timeout_s(), metadata=metadata(call.request_id))
    with given(thinker, stream, cost), heard(thinker):
        async for event in stream:
            match event.WhichOneof("event"):
                case "delta":
                    yield TextDelta(event.delta.text)
                case "done":
                    reason = wire.reason_from_proto(event.done.finish_reason)
                    yield TextResult(event.done.text, reason, event.done.work)


async def _make(
    task: Task, stages: Stages, thinker: Stage, call: Call, tries: Tries, cost: float
) -> AsyncGenerator[Happening, None]:
    """A context, with think its thought first, and the pictures drawn from it."""
    assert isinstance(thinker.stub, thinker_pb2_grpc.ThinkerStub)
    dit = await stages.dit(thinker, call, tries.failed)
    lease = thinker.stub.PrepareContext(
        _context_request(task, call, tries.number), timeout=call.timeout_s(), metadata=metadata(call.request_id)
    )
    # The DiT's call ends first: the end of the lease would look like a failure to it.
    with given(thinker, lease, cost), ExitStack() as drawings:

        def draw() -> Drawing:
            drawing = _start_drawing(task, dit, call, tries.number, handle)
            drawings.enter_context(given(dit, drawing, cost))
            return drawing

        drawing, handle, prepared = None, kv_pb2.KvHandle(), thinker_pb2.Prepared()
        with heard(thinker):
            async for event in lease:
                match event.WhichOneof("event"):
                    case "handle":
                        # The DiT fetches what is final while the Thinker works on the rest.
                        handle = event.handle
                        drawing = draw()
                    case "delta":
                        yield TextDelta(event.delta.text)
                    case "prepared":
                        prepared = event.prepared
                        break
        if task.think:
            yield TextResult(prepared.thought, wire.reason_from_proto(prepared.finish_reason), prepared.work)
        while True:
            assert drawing is not None, "a context was prepared that nobody can fetch"
            try:
                with heard(dit):
                    async for drawn in _follow(drawing, prepared):
                        yield drawn
                return
            except StageFailure as failure:
                if failure.remedy is not Remedy.ELSEWHERE or lease.done() or not thinker.ready:
                    raise
                again = tries.again(failure)
            drawings.close()
            yield again
            dit = await stages.dit(thinker, call, tries.failed)
            drawing = draw()


def _start_drawing(task: Task, dit: Stage, call: Call, attempt: int, handle: kv_pb2.KvHandle) -> Drawing:
    assert isinstance(dit.stub, dit_pb2_grpc.DitStub)
    assert task.sampler is not None
    request = dit_pb2.GenerateRequest(
        request=call.proto(attempt),
        handle=handle,
        sampler=wire.sampler_to_proto(task.sampler),
        seed=task.seed,
        n=task.count,
        output=dit_pb2.OutputSettings(format=wire.format_to_proto(task.output_format), quality=task.quality),
        previews=dit_pb2.PreviewSettings(count=task.previews, max_side_px=PREVIEW_SIDE_PX),
    )
    drawing: Drawing = dit.stub.Generate(request, timeout=call.timeout_s(), metadata=metadata(call.request_id))
    return drawing


async def _follow(drawing: Drawing, prepared: thinker_pb2.Prepared) -> AsyncGenerator[Happening, None]:
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


def _context_request(task: Task, call: Call, attempt: int) -> thinker_pb2.PrepareContextRequest:
    return thinker_pb2.PrepareContextRequest(
        request=call.proto(attempt),
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
