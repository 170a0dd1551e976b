"""Bodies of requests are bounded while they arrive: each in size and time, and all together in size.

What says itself that it is too large is refused before a byte of it is read.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bagel.limits import BODIES_BYTES, BODY_S
from services.gateway.errors import ApiError, invalid_request, rate_limited

RETRY_S = 2.0
_HOLD = "hold"

# Counts bytes that a request holds besides its body, until it is over. Raises ApiError when all together are too many.
Hold: TypeAlias = Callable[[int], None]


class BoundedBodies:
    """ASGI middleware. A body counts until its request is over, since what was made of it lives as long."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app, self._most = app, max_body_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_announced(Headers(scope=scope))
        except ApiError as refused:
            headers = refused.headers() | {"connection": "close"}
            await JSONResponse(refused.body(), status_code=refused.status, headers=headers)(scope, receive, send)
            return
        body = _Body(receive, self)
        scope.setdefault("state", {})[_HOLD] = body.hold
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._held_bytes -= body.held_bytes

    def hold(self, num_bytes: int) -> None:
        """Count bytes that arrived. Raises ApiError when all bodies together are too large."""
        self._held_bytes += num_bytes
        self._check_room(0)

    def too_large(self) -> ApiError:
        """The error of a body over the limit."""
        message = f"the body is over {self._most} bytes; send smaller or fewer pictures"
        return invalid_request(message, code="request_too_large", status=413)

    @property
    def most(self) -> int:
        """Bytes that a body may have."""
        return self._most

    def _check_announced(self, headers: Headers) -> None:
        announced = headers.get("content-length", "0")
        if len(announced) > len(str(self._most)) + 1 or int(announced) > self._most:
            raise self.too_large()
        self._check_room(int(announced))

    def _check_room(self, coming: int) -> None:
        if self._held_bytes + coming > BODIES_BYTES.most:
            message = f"the bodies of all requests are over {BODIES_BYTES.most >> 20} MiB; try again later"
            raise rate_limited(message, code="queue_full", retry_after_s=RETRY_S)


def hold_of(request: Request) -> Hold:
    """Counts what the request fetches with its body."""
    hold: Hold = getattr(request.state, _HOLD)
    return hold


class _Body:
    """One request's."""

    def __init__(self, receive: Receive, bodies: BoundedBodies) -> None:
        self._receive, self._bodies = receive, bodies
        self._deadline_s = asyncio.get_running_loop().time() + BODY_S.most
        self._whole = False
        self.held_bytes = 0

    def hold(self, num_bytes: int) -> None:
        """Count bytes that arrived for the request. Raises ApiError when all bodies together are too large."""
        self.held_bytes += num_bytes
        self._bodies.hold(num_bytes)

    async def receive(self) -> Message:
        """The next piece. Raises ApiError when it is too much or too late."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            text = f"the body did not arrive within {BODY_S.most:g} s"
            raise ApiError(status=408, message=text, type="timeout_error", code="body_timeout") from None
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        self.hold(len(message.get("body", b"")))
        if self.held_bytes > self._bodies.most:
            raise self._bodies.too_large()
        return message
