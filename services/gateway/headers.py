"""Requests whose line and headers are too large are refused before any endpoint sees them.

The server below bounds what it buffers of unfinished headers; those that arrive in one piece are bounded here.
"""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bagel.limits import HEADER_BYTES
from services.gateway.errors import invalid_request


class BoundedHeaders:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _size(scope) > HEADER_BYTES.most:
            message = f"the request's line and headers are over {HEADER_BYTES.most} bytes"
            refused = invalid_request(message, code="headers_too_large", status=431)
            await JSONResponse(refused.body(), status_code=refused.status)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _size(scope: Scope) -> int:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope["raw_path"]) + len(scope["query_string"])
