"""Who calls over gRPC: the API key in a call's metadata, under the same limits as over REST."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from bagel.rpc import Handler, ServicerContext
from services.gateway.errors import ApiError
from services.gateway.key_check import Keys

KEY = "authorization"


class Callers:
    """Looks at metadata; without keys everybody may ask."""

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys

    def name(self, metadata: Any) -> str:
        """Of a call's key. Raises ApiError unless it shows a valid one."""
        return "" if self._keys is None else self._keys.find(_shown(metadata)).name

    @contextmanager
    def admitted(self, metadata: Any) -> Iterator[str]:
        """The name of a call's key, for a block that counts against its limits. Raises ApiError."""
        if self._keys is None:
            yield ""
            return
        with self._keys.admitted(_shown(metadata)) as name:
            yield name


class KeyInterceptor(grpc.aio.ServerInterceptor):
    """Turns a service's call without a valid key away before any of its message is read."""

    def __init__(self, callers: Callers, service: str) -> None:
        self._callers, self._prefix = callers, f"/{service}/"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        if handler_call_details.method.startswith(self._prefix):
            try:
                self._callers.name(handler_call_details.invocation_metadata)
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
