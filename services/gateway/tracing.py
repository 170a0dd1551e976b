"""Each request to `/v1/` as a span, from its head to the last byte of its answer; a caller may name one above it."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bagel.tracing import serving
from services.gateway.request_ids import request_id_of


class TracedRequests:
    """ASGI middleware. What a request starts inherits its span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with serving("request", headers, path=scope["path"], request_id=request_id_of(Request(scope))):
            await self._app(scope, receive, send)
