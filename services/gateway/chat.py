"""`POST /v1/chat/completions`: from the request's body to a response or a stream of events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from bagel.errors import BagelError
from bagel.logs import get_logger
from services.gateway.bodies import Hold, hold_of
from services.gateway.calls import Call
from services.gateway.errors import ApiError, from_bagel
from services.gateway.happenings import Admitted, Happening, ImageResult, Progress, TextDelta, TextResult, Waiting
from services.gateway.responses import DONE, Answer, comment, event, place_comment
from services.gateway.schemas import ChatRequest, parse_chat_request
from services.gateway.serving import Serving, parse_json
from services.gateway.sources import load_pictures, picture_urls
from services.gateway.tasks import Task, make_task


class ChatEndpoint:
    """The handler with what it needs."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, request: Request) -> Response:
        """Serve one request. Raises ApiError and BagelError."""
        serving = self._serving
        parsed = parse_chat_request(parse_json(await serving.read_body(request)))
        model = serving.model_for(parsed.model)
        call = serving.call(request, parsed.timeout_s)
        task = await serving.until_disconnect(request, call, self._task(parsed, call, hold_of(request)))
        beside = (parsed.image_output or serving.config.image_output) == "images"
        answer = Answer(call.request_id, model, task, beside=beside)
        get_logger().info("request", task=task.name, think=task.think, stream=parsed.stream)
        if parsed.stream:
            happening = serving.run(task, call)
            # What is refused before anything happened keeps its own status.
            first = await serving.until_disconnect(request, call, anext(happening))
            stream = self._stream(parsed, serving.until_cancelled(call, first, happening), answer)
            return StreamingResponse(stream, media_type="text/event-stream")
        body = await serving.until_disconnect(request, call, self._complete(task, call, answer))
        return JSONResponse(body)

    async def _task(self, parsed: ChatRequest, call: Call, hold: Hold) -> Task:
        """Resolve a request, its pictures looked at. Raises RequestError, ApiError, DeadlineError."""
        serving, urls = self._serving, picture_urls(parsed)
        serving.gate.check_room(draws="image" in (parsed.modalities or ()))
        async with call.in_time():
            pictures = await load_pictures(urls, serving.fetcher, hold)
            defaults = serving.config.default_sampling
            task = await asyncio.to_thread(make_task, parsed, pictures, serving.stages.limits(), defaults)
            await serving.decoding.check([(param, data) for (param, _), data in zip(urls, task.images, strict=True)])
        return task

    async def _complete(self, task: Task, call: Call, answer: Answer) -> dict[str, Any]:
        text: TextResult | None = None
        image: ImageResult | None = None
        async with aclosing(self._serving.run(task, call)) as happening:
            async for what in happening:
                match what:
                    case Admitted(queue_s=seconds):
                        answer.queue_s = seconds
                    case TextResult():
                        text = what
                    case ImageResult():
                        image = what
        body = answer.completion(text, image)
        get_logger().info("answered", seconds=round(body["bagel"]["timings_s"]["total"], 3))
        return body

    async def _stream(
        self, parsed: ChatRequest, happening: AsyncGenerator[Happening, None], answer: Answer
    ) -> AsyncIterator[bytes]:
        text: TextResult | None = None
        image: ImageResult | None = None
        try:
            yield event(answer.chunk(0, {"role": "assistant", "content": ""}))
            async with aclosing(happening):
                async for what in happening:
                    match what:
                        case Waiting():
                            yield place_comment(what)
                        case TextDelta(text=piece):
                            yield event(answer.chunk(0, {"content": piece}))
                        case TextResult(finish_reason=reason):
                            text = what
                            yield event(answer.chunk(0, {}, reason))
                        case Progress(done=done, total=total):
                            yield comment(f"step {done} of {total}")
                        case ImageResult():
                            image = what
                            part = {**answer.image_part(what.pictures[0]), "index": 0}
                            index = 0 if text is None else 1
                            yield event(answer.chunk(index, {"content": "", "images": [part]}))
                            # By itself, as OpenAI's streams have it: LiteLLM drops a picture that comes with an end.
                            yield event(answer.chunk(index, {}, "stop"))
        except BagelError as error:
            yield event(from_bagel(error).body())
            return
        except ApiError as error:
            yield event(error.body())
            return
        if parsed.stream_options is not None and parsed.stream_options.include_usage:
            yield event(answer.usage_chunk(text, image))
        yield DONE
