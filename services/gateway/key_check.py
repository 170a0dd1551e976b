"""Asks for an API key before anything else is read of a request, and holds every key to its limits.

What tells whether the server is well, its pages, and pictures' signed links need no key.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bagel.errors import OverloadedError
from services.gateway.errors import ApiError, rate_limited
from services.gateway.key_limits import Allowance, KeyLimits
from services.gateway.keys import ApiKey, KeyFile

CALLER = "caller"  # in a request's state, if keys are asked for
_PROTECTED, _OPEN = "/v1/", "/v1/pictures/"
_WORKING_METHOD = "POST"


class Keys:
    """A file of keys, and what each of them may ask for and has asked for. `authorization` is what a caller shows."""

    def __init__(self, file: KeyFile, allowance: Allowance) -> None:
        self._file, self._allowance, self._limits = file, allowance, KeyLimits()

    def find(self, authorization: str) -> ApiKey:
        """The key that is shown. Raises ApiError."""
        scheme, _, presented = authorization.partition(" ")
        key = self._file.find(presented.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            message = "no valid API key; send one as `Authorization: Bearer KEY`, and ask this server's operator for it"
            raise ApiError(status=401, message=message, type="invalid_request_error", code="invalid_api_key")
        return key

    @contextmanager
    def admitted(self, authorization: str) -> Iterator[str]:
        """The key's name, for a block that counts against its limits. Raises ApiError."""
        key = self.find(authorization)
        allowance = Allowance(
            per_minute=self._allowance.per_minute if key.per_minute is None else key.per_minute,
            at_once=self._allowance.at_once if key.at_once is None else key.at_once,
        )
        try:
            self._limits.begin(key.name, allowance, time.monotonic())
        except OverloadedError as error:
            raise rate_limited(str(error), code="rate_limit_exceeded", retry_after_s=error.retry_after_s) from None
        try:
            yield key.name
        finally:
            self._limits.end(key.name)


class KeyCheck:
    """ASGI middleware; without keys everybody may ask."""

    def __init__(self, app: ASGIApp, keys: Keys | None) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._keys is None or scope["type"] != "http" or not _is_protected(scope["path"]):
            await self._app(scope, receive, send)
            return
        shown = Headers(scope=scope).get("authorization", "")
        with ExitStack() as stack:
            try:
                if scope["method"] == _WORKING_METHOD:
                    name = stack.enter_context(self._keys.admitted(shown))
                else:
                    name = self._keys.find(shown).name
            except ApiError as refused:
                answer = JSONResponse(refused.body(), status_code=refused.status, headers=refused.headers())
                await answer(scope, receive, send)
                return
            scope.setdefault("state", {})[CALLER] = name
            await self._app(scope, receive, send)


def caller_of(request: Request) -> str:
    """The name of its key; empty without keys."""
    caller: str = getattr(request.state, CALLER, "")
    return caller


def _is_protected(path: str) -> bool:
    return path.startswith(_PROTECTED) and not path.startswith(_OPEN)
