"""Who calls over gRPC: the API key in a call's metadata, under the same limits as over REST."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from bagel.rpc import Handler, ServicerContext
from services.gateway.errors import ApiError
from services.gateway.key_check import Keys

KEY = "authorization"
SERVICE = "/bagel.v1.Bagel/"


class Callers:
    """Looks at metadata; without keys everybody may ask."""

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys

    def name(self, context: ServicerContext) -> str:
        """Of the call's key. Raises ApiError unless it shows a valid one."""
        return "" if self._keys is None else self._keys.find(_shown(context.invocation_metadata())).name

    @contextmanager
    def admitted(self, context: ServicerContext) -> Iterator[str]:
        """The name of the call's key, for a block that counts against its limits. Raises ApiError."""
        if self._keys is None:
            yield ""
            return
        with self._keys.admitted(_shown(context.invocation_metadata())) as name:
            yield name

    def check(self, metadata: Any) -> None:
        """Raise ApiError unless it shows a valid key."""
        if self._keys is not None:
            self._keys.find(_shown(metadata))


class KeyInterceptor(grpc.aio.ServerInterceptor):
    """Turns a call without a valid key away before any of its message is read."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        if handler_call_details.method.startswith(SERVICE):
            try:
                self._callers.check(handler_call_details.invocation_metadata)
            except ApiError as error:
                return _turned_away(error.message)
        return await continuation(handler_call_details)


def _turned_away(message: str) -> Handler:
    """A handler of a stream of requests: it alone is called before the first one was received."""

    async def refuse(requests: Any, context: ServicerContext) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _shown(metadata: Any) -> str:
    found = [value for key, value in metadata or () if key == KEY and isinstance(value, str)]
    return found[0] if found else ""
