"""What every endpoint does alike: ids, bodies, deadlines, and stopping work that nobody waits for any more."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from bagel.errors import RequestError
from bagel.limits import JSON_PARTS
from bagel.logs import get_logger
from bagel.waiting import settle
from services.gateway.calls import Call
from services.gateway.config import GatewayConfig
from services.gateway.decoding import DecodingPool
from services.gateway.errors import CLIENT_CLOSED_REQUEST, ApiError, invalid_request
from services.gateway.fetching import PictureFetcher
from services.gateway.gate import Gate
from services.gateway.happenings import Happening
from services.gateway.key_check import caller_of
from services.gateway.metrics import GatewayMetrics
from services.gateway.pipeline import run
from services.gateway.request_ids import request_id_of, sent_id_of
from services.gateway.stages import Stages
from services.gateway.tasks import Task

T = TypeVar("T")


class Running:
    """Requests on their way, so that one call can cancel another of the same caller."""

    def __init__(self) -> None:
        self._cancelled: dict[Call, asyncio.Event] = {}

    @contextmanager
    def tracked(self, call: Call) -> Iterator[asyncio.Event]:
        """An event that `cancel` sets, for the time of a block."""
        self._cancelled[call] = event = asyncio.Event()
        try:
            yield event
        finally:
            del self._cancelled[call]

    def cancel(self, request_id: str, caller: str) -> bool:
        """Stop what a caller runs under an id, or under the id that it sent with it; whether there was any."""
        found = [
            event
            for call, event in self._cancelled.items()
            if call.caller == caller and request_id in (call.request_id, call.sent_id)
        ]
        for event in found:
            event.set()
        return bool(found)


class Serving:
    """One gateway's stages, limits and running requests, as endpoints need them."""

    def __init__(self, stages: Stages, config: GatewayConfig) -> None:
        self.stages, self.config = stages, config
        self.gate = Gate(
            stages, max_queue=config.max_queue, max_running=config.max_running,
            max_running_pictures=config.max_running_pictures,
        )  # fmt: skip
        self.decoding = DecodingPool(config.decoders)
        self.fetcher = PictureFetcher() if config.fetch_images else None
        self.running, self.metrics = Running(), GatewayMetrics(stages, self.gate.lines)

    def model_for(self, asked: str | None) -> str:
        """The name of the model served. Raises ApiError when another was asked for, NotReadyError."""
        model = self.stages.model().name
        if asked in (None, model, *self.config.model_aliases):
            return model
        raise invalid_request(
            f"model {asked!r} is not served here; this server has {model!r}",
            param="model", code="model_not_found", status=404,
        )  # fmt: skip

    async def close(self) -> None:
        """End what was started."""
        await self.decoding.close()
        if self.fetcher is not None:
            await self.fetcher.close()

    def call(self, request: Request, timeout_s: float | None) -> Call:
        """The call of one request with its deadline. Raises RequestError."""
        most = self.config.request_timeout_s
        if timeout_s is not None and timeout_s > most:
            raise RequestError(f"timeout_s must be at most {most}, not {timeout_s}", param="timeout_s")
        deadline_s = time.monotonic() + (timeout_s or most)
        return Call(request_id_of(request), deadline_s, caller=caller_of(request), sent_id=sent_id_of(request))

    def run(self, task: Task, call: Call) -> AsyncGenerator[Happening, None]:
        """What happens on a task's way through the line and the stages."""
        return self.metrics.watched(task, self.gate.admitted(task, call, run(task, self.stages, call)))

    async def read_body(self, request: Request) -> bytes:
        """The whole body. Raises ApiError when it is too large."""
        most, body = self.config.max_body_bytes, bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    message = f"the body is over {most} bytes; send smaller or fewer pictures"
                    raise invalid_request(message, code="request_too_large", status=413)
        except ClientDisconnect:
            raise client_left() from None
        return bytes(body)

    async def until_disconnect(self, request: Request, call: Call, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled when the client goes away, or another call cancels it, first."""
        with self.running.tracked(call) as cancelled:
            working = asyncio.create_task(work)
            leaving = asyncio.create_task(_disconnected(request))
            stopping = asyncio.create_task(cancelled.wait())
            try:
                await asyncio.wait({working, leaving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    return working.result()
                get_logger().info("cancelled" if cancelled.is_set() else "client_left")
                raise _cancelled() if cancelled.is_set() else client_left()
            finally:
                for task in (working, leaving, stopping):
                    task.cancel()
                await settle(asyncio.gather(working, leaving, stopping, return_exceptions=True))

    async def until_cancelled(
        self, call: Call, first: Happening, rest: AsyncGenerator[Happening, None]
    ) -> AsyncGenerator[Happening, None]:
        """`first` and what follows, until another call cancels the request. Raises ApiError then."""
        with self.running.tracked(call) as cancelled:
            async with aclosing(rest):
                yield first
                stopping = asyncio.create_task(cancelled.wait())
                try:
                    while True:
                        coming = asyncio.ensure_future(anext(rest, None))
                        try:
                            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                        finally:
                            if not coming.done():
                                coming.cancel()
                                # Starlette cancels again and again; `rest` must be over before it is closed.
                                await settle(coming)
                        if coming.cancelled():
                            raise _cancelled()
                        what = coming.result()
                        if what is None:
                            return
                        yield what
                finally:
                    stopping.cancel()


def parse_json(body: bytes) -> object:
    """A JSON body. Raises ApiError."""
    # Millions of empty lists fit into a body, and take a hundred times its memory.
    if sum(map(body.count, (b",", b"[", b"{", b"\\"))) > JSON_PARTS.most:
        message = f"the body has over {JSON_PARTS.most} commas, brackets and escapes"
        raise invalid_request(message, code="invalid_json")
    try:
        # Python's own parser takes NaN; the schema then refuses it by its field's name.
        parsed: object = json.loads(body)
        if b"\\u" in body:
            # A lone surrogate is a string that no encoder takes; nothing behind this point expects one.
            json.dumps(parsed, ensure_ascii=False).encode()
        return parsed
    except (ValueError, RecursionError) as error:
        raise invalid_request(f"the body is not JSON: {str(error)[:200]}", code="invalid_json") from None


def client_left() -> ApiError:
    """Nobody reads this; it ends the request."""
    return ApiError(status=CLIENT_CLOSED_REQUEST, message="the client left", type="client_error")


def _cancelled() -> ApiError:
    message = "the request was cancelled by another call"
    return ApiError(status=CLIENT_CLOSED_REQUEST, message=message, type="client_error", code="cancelled")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
