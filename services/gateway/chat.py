"""`POST /v1/chat/completions`: from the request's body to a response or a stream of events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from bagel.errors import BagelError
from bagel.logs import get_logger
from bagel.rpc import REQUEST_ID_KEY
from services.gateway.errors import ApiError, from_bagel
from services.gateway.pipeline import Call, Happening, ImageResult, Progress, TextDelta, TextResult
from services.gateway.responses import DONE, Answer, comment, event
from services.gateway.schemas import ChatRequest, parse_chat_request
from services.gateway.serving import Serving, new_request_id, parse_json
from services.gateway.tasks import Task, make_task


class ChatEndpoint:
    """The handler with what it needs."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, request: Request) -> Response:
        """Serve one request. Raises ApiError and BagelError."""
        serving, request_id = self._serving, new_request_id(request)
        parsed = parse_chat_request(parse_json(await serving.read_body(request)))
        model = serving.model_for(parsed.model)
        call = serving.call(request_id, parsed.timeout_s)
        task = await asyncio.to_thread(make_task, parsed, serving.stages.limits())
        beside = (parsed.image_output or serving.config.image_output) == "images"
        answer = Answer(request_id, model, task, beside=beside)
        get_logger().info("request", task=task.name, think=task.think, stream=parsed.stream)
        headers = {REQUEST_ID_KEY: request_id}
        if parsed.stream:
            happening = serving.run(task, call)
            # What is refused before anything happened keeps its own status.
            first = await serving.until_disconnect(request, request_id, anext(happening))
            stream = self._stream(parsed, first, happening, answer)
            return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
        body = await serving.until_disconnect(request, request_id, self._complete(task, call, answer))
        return JSONResponse(body, headers=headers)

    async def _complete(self, task: Task, call: Call, answer: Answer) -> dict[str, Any]:
        text: TextResult | None = None
        image: ImageResult | None = None
        async with aclosing(self._serving.run(task, call)) as happening:
            async for what in happening:
                match what:
                    case TextResult():
                        text = what
                    case ImageResult():
                        image = what
        body = answer.completion(text, image)
        get_logger().info("answered", seconds=round(body["bagel"]["timings_s"]["total"], 3))
        return body

    async def _stream(
        self, parsed: ChatRequest, first: Happening, rest: AsyncGenerator[Happening, None], answer: Answer
    ) -> AsyncIterator[bytes]:
        text: TextResult | None = None
        image: ImageResult | None = None
        try:
            yield event(answer.chunk(0, {"role": "assistant", "content": ""}))
            async with aclosing(self._serving.until_cancelled(answer.request_id, first, rest)) as happening:
                async for what in happening:
                    match what:
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
                            yield event(answer.chunk(index, {"content": "", "images": [part]}, "stop"))
        except BagelError as error:
            yield event(from_bagel(error).body())
            return
        except ApiError as error:
            yield event(error.body())
            return
        if parsed.stream_options is not None and parsed.stream_options.include_usage:
            yield event(answer.usage_chunk(text, image))
        yield DONE
