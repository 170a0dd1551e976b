"""`POST /v1/chat/completions`: from the request's body to a response or a stream of events."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from bagel.contexts import Output
from bagel.errors import BagelError, RequestError
from bagel.logs import bind_request, get_logger
from bagel.rpc import REQUEST_ID_KEY, REQUEST_ID_PATTERN
from services.gateway.config import GatewayConfig
from services.gateway.errors import CLIENT_CLOSED_REQUEST, ApiError, from_bagel, invalid_request
from services.gateway.pipeline import (
    Call,
    Happening,
    ImageResult,
    Progress,
    TextDelta,
    TextResult,
    run_image,
    run_text,
)
from services.gateway.responses import DONE, Answer, comment, event
from services.gateway.schemas import ChatRequest, parse_chat_request
from services.gateway.stages import Stages
from services.gateway.tasks import Task, make_task

T = TypeVar("T")
MAX_REQUEST_ID_PREFIX = 100


class ChatEndpoint:
    """The handler with what it needs."""

    def __init__(self, stages: Stages, config: GatewayConfig) -> None:
        self._stages, self._config = stages, config

    async def __call__(self, request: Request) -> Response:
        """Serve one request. Raises ApiError and BagelError."""
        request_id = _request_id(request)
        bind_request(request_id)
        parsed = parse_chat_request(_parse_json(await self._read_body(request)))
        model = self._stages.model().name
        if parsed.model not in (None, model, *self._config.model_aliases):
            raise invalid_request(
                f"model {parsed.model!r} is not served here; this server has {model!r}",
                param="model", code="model_not_found", status=404,
            )  # fmt: skip
        call = Call(request_id, time.monotonic() + self._timeout_s(parsed))
        task = await asyncio.to_thread(make_task, parsed, self._stages.limits())
        answer = Answer(request_id, model, task)
        get_logger().info("request", task=task.name, think=task.think, stream=parsed.stream)
        headers = {REQUEST_ID_KEY: request_id}
        if parsed.stream:
            happening = self._run(task, call)
            # What is refused before anything happened keeps its own status.
            first = await _until_disconnect(request, anext(happening))
            stream = self._stream(parsed, first, happening, answer)
            return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
        body = await _until_disconnect(request, self._complete(task, call, answer))
        return JSONResponse(body, headers=headers)

    def _timeout_s(self, parsed: ChatRequest) -> float:
        most = self._config.request_timeout_s
        if parsed.timeout_s is not None and parsed.timeout_s > most:
            raise RequestError(f"timeout_s must be at most {most}, not {parsed.timeout_s}", param="timeout_s")
        return parsed.timeout_s or most

    async def _complete(self, task: Task, call: Call, answer: Answer) -> dict[str, Any]:
        text: TextResult | None = None
        image: ImageResult | None = None
        async with aclosing(self._run(task, call)) as happening:
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
            async with aclosing(rest):
                async for what in _chained(first, rest):
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
                            part = {**answer.image_part(what), "index": 0}
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

    def _run(self, task: Task, call: Call) -> AsyncGenerator[Happening, None]:
        if task.output is Output.TEXT:
            return run_text(task, self._stages, call)
        return run_image(task, self._stages, call)

    async def _read_body(self, request: Request) -> bytes:
        most = self._config.max_body_bytes
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    message = f"the body is over {most} bytes; send smaller or fewer pictures"
                    raise invalid_request(message, code="request_too_large", status=413)
        except ClientDisconnect:
            raise _client_left() from None
        return bytes(body)


async def _chained(first: Happening, rest: AsyncGenerator[Happening, None]) -> AsyncIterator[Happening]:
    yield first
    async for what in rest:
        yield what


def _parse_json(body: bytes) -> object:
    try:
        # Python's own parser takes NaN; the schema then refuses it by its field's name.
        parsed: object = json.loads(body)
        if b"\\u" in body:
            # A lone surrogate is a string that no encoder takes; nothing behind this point expects one.
            json.dumps(parsed, ensure_ascii=False).encode()
        return parsed
    except (ValueError, RecursionError) as error:
        raise invalid_request(f"the body is not JSON: {str(error)[:200]}", code="invalid_json") from None


def _request_id(request: Request) -> str:
    """The client's id, made unique, or a new one."""
    sent = request.headers.get(REQUEST_ID_KEY, "")[:MAX_REQUEST_ID_PREFIX]
    prefix = sent if REQUEST_ID_PATTERN.fullmatch(sent) else "req"
    return f"{prefix}-{secrets.token_hex(6)}"


async def _until_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client goes away first."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            get_logger().info("client_left")
            raise _client_left()
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


def _client_left() -> ApiError:
    """Nobody reads this; it ends the request."""
    return ApiError(status=CLIENT_CLOSED_REQUEST, message="the client left", type="client_error")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
