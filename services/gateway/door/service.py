"""The public gRPC service: requests in, the same pipeline as over REST, events out."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from bagel.logs import bind_request, get_logger
from bagel.rpc import REQUEST_ID_KEY, ServicerContext
from bagel.tracing import annotate
from bagel.v1 import bagel_pb2, bagel_pb2_grpc, settings_pb2
from services.gateway.door.callers import Callers
from services.gateway.door.events import accepted, event_of, finished
from services.gateway.door.requests import Order, SentPicture, conversation_of, edit_of, generation_of, question_of
from services.gateway.door.statuses import as_status
from services.gateway.errors import invalid_request
from services.gateway.masks import check_mask, keep_unmasked
from services.gateway.pipeline import Admitted, Call, Drawn, Happening, ImageResult, TextResult
from services.gateway.request_ids import new_request_id
from services.gateway.responses import Answer
from services.gateway.serving import Serving
from services.gateway.tasks import Task

Events: TypeAlias = AsyncGenerator[bagel_pb2.TaskEvent, None]
AT_ONCE = Admitted(0.0)  # stands for the beginning; no event comes of it


class BagelServicer(bagel_pb2_grpc.BagelServicer):
    """Serves `bagel.v1.Bagel`."""

    def __init__(self, serving: Serving, callers: Callers) -> None:
        self._serving, self._callers = serving, callers

    async def GetModel(self, request: bagel_pb2.GetModelRequest, context: ServicerContext) -> settings_pb2.ModelInfo:
        with as_status():
            self._callers.check(context)
            return self._serving.stages.model()

    def GeneratePictures(self, request: bagel_pb2.GeneratePicturesRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(generation_of, request))

    def EditPictures(self, request: bagel_pb2.EditPicturesRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(edit_of, request))

    def Understand(self, request: bagel_pb2.UnderstandRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(question_of, request))

    def Chat(self, request: bagel_pb2.ChatRequest, context: ServicerContext) -> Events:
        return self._serve(context, request.model, partial(conversation_of, request))

    async def Cancel(
        self, request: bagel_pb2.CancelTaskRequest, context: ServicerContext
    ) -> bagel_pb2.CancelTaskResponse:
        with as_status():
            self._callers.check(context)
            if not self._serving.running.cancel(request.request_id):
                message = f"no request {request.request_id!r} is running here"
                raise invalid_request(message, code="not_found", status=404)
            return bagel_pb2.CancelTaskResponse()

    async def _serve(self, context: ServicerContext, model: str, read: Callable[[], Order]) -> Events:
        """From a request to its events."""
        serving = self._serving
        with as_status(), self._callers.admitted(context) as caller:
            name, order = serving.model_for(model or None), read()
            call = Call(_request_id(context), self._deadline_s(context), caller=caller)
            bind_request(call.request_id)
            annotate(request_id=call.request_id)
            task = await asyncio.to_thread(order.task, serving.stages.limits())
            serving.gate.check_room(draws=task.sampler is not None)
            async with call.in_time():
                await self._look_at(order)
            get_logger().info("request", task=task.name, think=task.think, door="grpc", n=task.count)
            yield accepted(call.request_id, task)
            happening = serving.until_cancelled(call.request_id, AT_ONCE, serving.run(task, call))
            async with aclosing(_events(happening, Answer(call.request_id, name, task), order)) as events:
                async for event in events:
                    yield event

    async def _look_at(self, order: Order) -> None:
        """Refuse pictures that do not decode. Raises RequestError."""
        found = await self._serving.decoding.check([(picture.param, picture.data) for picture in order.pictures])
        if order.mask is not None:
            (info,) = await self._serving.decoding.check([(order.mask.param, order.mask.data)])
            check_mask(info, found[0])

    def _deadline_s(self, context: ServicerContext) -> float:
        """On the monotonic clock: the call's, at most the server's."""
        most, left = self._serving.config.request_timeout_s, context.time_remaining()
        return time.monotonic() + (most if left is None else min(most, float(left)))


async def _events(happening: AsyncGenerator[Happening, None], answer: Answer, order: Order) -> Events:
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
                case Drawn() if order.mask is not None:
                    what = await _masked(what, answer.task, order.pictures[0], order.mask)
            event = event_of(what)
            if event is not None:
                yield event
    yield finished(answer, text, image)


def _request_id(context: ServicerContext) -> str:
    """The caller's id, made unique, or one of ours."""
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return new_request_id(sent.get(REQUEST_ID_KEY, ""))


async def _masked(drawn: Drawn, task: Task, picture: SentPicture, mask: SentPicture) -> Drawn:
    data = await asyncio.to_thread(
        keep_unmasked, drawn.data, picture.data, mask.data, task.output_format, quality=task.quality
    )
    return replace(drawn, data=data)
