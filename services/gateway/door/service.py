"""The public gRPC service: requests in, the same pipeline as over REST, events out."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeAlias

from bagel.logs import bind_request, get_logger
from bagel.rpc import REQUEST_ID_KEY, ServicerContext
from bagel.tracing import annotate
from bagel.v1 import bagel_pb2, bagel_pb2_grpc, settings_pb2
from services.gateway.calls import Call
from services.gateway.door.callers import Callers
from services.gateway.door.ending import ended_by
from services.gateway.door.events import accepted, event_of, finished
from services.gateway.door.requests import (
    Order,
    conversation_field,
    conversation_of,
    edit_of,
    generation_of,
    question_field,
    question_of,
)
from services.gateway.door.statuses import as_status
from services.gateway.edit_files import EditFiles
from services.gateway.errors import invalid_request
from services.gateway.happenings import Admitted, Drawn, Happening, ImageResult, TextResult
from services.gateway.request_ids import known_id, new_request_id
from services.gateway.responses import Answer
from services.gateway.serving import Serving

Events: TypeAlias = AsyncGenerator[bagel_pb2.TaskEvent, None]


class BagelServicer(bagel_pb2_grpc.BagelServicer):
    """Serves `bagel.v1.Bagel`."""

    def __init__(self, serving: Serving, callers: Callers) -> None:
        self._serving, self._callers = serving, callers

    async def GetModel(self, request: bagel_pb2.GetModelRequest, context: ServicerContext) -> settings_pb2.ModelInfo:
        return self._serving.stages.model()

    def GeneratePictures(self, request: bagel_pb2.GeneratePicturesRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(generation_of, request))

    def EditPictures(self, request: bagel_pb2.EditPicturesRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(edit_of, request))

    def Understand(self, request: bagel_pb2.UnderstandRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(question_of, request), question_field)

    def Chat(self, request: bagel_pb2.ChatRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(conversation_of, request), conversation_field)

    async def Cancel(
        self, request: bagel_pb2.CancelTaskRequest, context: ServicerContext
    ) -> bagel_pb2.CancelTaskResponse:
        with as_status():
            if not self._serving.running.cancel(request.request_id, self._callers.name(context.invocation_metadata())):
                message = f"no request {request.request_id!r} is running here"
                raise invalid_request(message, code="not_found", status=404)
            return bagel_pb2.CancelTaskResponse()

    async def _serve(
        self, context: ServicerContext, model: str, read: Callable[[], Order], field_of: Callable[[str], str] = str
    ) -> Events:
        """From a request to its events; `field_of` gives the message's name of a field that REST's parser blames."""
        serving = self._serving
        with as_status(field_of), self._callers.admitted(context.invocation_metadata()) as caller:
            call = self._call(context, caller)
            with serving.running.tracked(call) as cancelled:
                async with ended_by(cancelled, call.deadline_s):
                    name, order = serving.model_for(model or None), read()
                    task = await asyncio.to_thread(order.task, serving.stages.limits(), serving.config.default_sampling)
                    serving.gate.check_room(draws=task.sampler is not None)
                    await order.files.check(serving.decoding)
                    get_logger().info("request", task=task.name, think=task.think, door="grpc", n=task.count)
                    happening = serving.run(task, call)
                    async with aclosing(_events(happening, Answer(call.request_id, name, task), order.files)) as events:
                        # What is refused in the line has no event before its status: callers may then try again.
                        first = await anext(events)
                        yield accepted(call.request_id, task)
                        yield first
                        async for event in events:
                            yield event

    def _call(self, context: ServicerContext, caller: str) -> Call:
        """The call with its id, made unique, and its deadline, at most the server's."""
        sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        most, left = self._serving.config.request_timeout_s, context.time_remaining()
        deadline_s = time.monotonic() + (most if left is None else min(most, float(left)))
        sent_id = sent.get(REQUEST_ID_KEY, "")
        call = Call(new_request_id(sent_id), deadline_s, caller=caller, sent_id=known_id(sent_id))
        bind_request(call.request_id)
        annotate(request_id=call.request_id)
        return call


async def _events(happening: AsyncGenerator[Happening, None], answer: Answer, files: EditFiles) -> Events:
    text: TextResult | None = None
    image: ImageResult | None = None
    async with aclosing(happening):
        async for what in happening:
            match what:
                case Admitted(queue_s=seconds):
                    answer.queue_s = seconds
                case TextResult():
                    text = what
                case ImageResult():
                    image = what
                case Drawn():
                    what = await files.masked(what, answer.task)
            event = event_of(what)
            if event is not None:
                yield event
    yield finished(answer, text, image)
