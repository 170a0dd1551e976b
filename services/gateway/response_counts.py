"""Every HTTP response by route and status, also of what was refused before it became a task."""

import asyncio

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.errors import CLIENT_CLOSED_REQUEST

UNEXPECTED = 500  # Starlette answers so outside of all middleware when something broke
NO_ROUTE = "none"  # refused on its way, or nowhere to be found


class CountedResponses:
    """ASGI middleware; it belongs outside all others."""

    def __init__(self, app: ASGIApp, counter: Counter) -> None:
        self._app, self._counter = app, counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            status = status or CLIENT_CLOSED_REQUEST
            raise
        finally:
            # Templates, not paths, whose number nobody bounds.
            route = scope["route"].path if "route" in scope else NO_ROUTE
            self._counter.labels(route, str(status or UNEXPECTED)).inc()


def response_counter() -> Counter:
    """In no registry yet."""
    return Counter(
        "bagel_http_responses_total", "HTTP responses by route and status", ("route", "status"), registry=None
    )
