"""Every request has an id before anything else is done with it, and every answer names it."""

import secrets

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bagel.limits import SENT_ID_CHARACTERS
from bagel.logs import bind_request
from bagel.rpc import REQUEST_ID_KEY, REQUEST_ID_PATTERN

_STATE, _SENT = "request_id", "sent_id"


class RequestIds:
    """ASGI middleware; the ids are in the logs too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID_KEY, "")
        request_id = new_request_id(sent)
        scope.setdefault("state", {}).update({_STATE: request_id, _SENT: known_id(sent)})
        bind_request(request_id)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_KEY] = request_id
            await send(message)

        await self._app(scope, receive, send_named)


def request_id_of(request: Request) -> str:
    """The client's id, made unique, or one of ours."""
    request_id: str = getattr(request.state, _STATE)
    return request_id


def sent_id_of(request: Request) -> str | None:
    """The client's id as it sent it, cut."""
    sent: str | None = getattr(request.state, _SENT)
    return sent


def known_id(sent: str) -> str | None:
    """What a client sent, cut; None unless it is an id."""
    sent = sent[: SENT_ID_CHARACTERS.most]
    return sent if REQUEST_ID_PATTERN.fullmatch(sent) else None


def new_request_id(sent: str) -> str:
    """A client's id, cut and made unique, or one of ours."""
    return f"{known_id(sent) or 'req'}-{secrets.token_hex(6)}"
