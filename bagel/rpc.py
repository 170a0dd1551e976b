"""What every gRPC server and client here does alike: limits, deadlines, request ids, errors <-> statuses.

A stage catches `Exception` for its requests in one place, `ErrorInterceptor`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import grpc
from grpc import StatusCode

from bagel.errors import (
    BagelError,
    DeadlineError,
    IncompleteContextError,
    NotReadyError,
    OverloadedError,
    RequestError,
)
from bagel.limits import DEADLINE_S, MESSAGE_BYTES, REQUEST_ID_CHARACTERS
from bagel.logs import bind_request, get_logger

REQUEST_ID_KEY = "x-request-id"
PARAM_KEY = "bagel-param"
REQUEST_ID_PATTERN = re.compile(rf"[A-Za-z0-9._-]{{1,{REQUEST_ID_CHARACTERS.most}}}")
_ID_RULE = f"request.id must be 1 to {REQUEST_ID_CHARACTERS.most} characters of A-Z a-z 0-9 . _ -"
_SHARED_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES.most),
    ("grpc.max_send_message_length", MESSAGE_BYTES.most),
)
SERVER_OPTIONS = (
    *_SHARED_OPTIONS,
    # Two servers on one port would share its connections in silence.
    ("grpc.so_reuseport", 0),
    # A caller that vanished without a word gives up its leases within seconds.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
CHANNEL_OPTIONS = (
    *_SHARED_OPTIONS,
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The defaults come back up to 17 s late.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
# Subclasses come before their bases.
STATUS_OF: dict[type[BagelError], StatusCode] = {
    RequestError: StatusCode.INVALID_ARGUMENT,
    OverloadedError: StatusCode.RESOURCE_EXHAUSTED,
    NotReadyError: StatusCode.UNAVAILABLE,
    DeadlineError: StatusCode.DEADLINE_EXCEEDED,
    IncompleteContextError: StatusCode.FAILED_PRECONDITION,
}

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
ServicerContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def open_channel(address: str) -> grpc.aio.Channel:
    """A client channel with this project's limits; connects on first use."""
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)


def metadata(request_id: str) -> tuple[tuple[str, str], ...]:
    """Metadata that names the request in the logs of the service called."""
    return ((REQUEST_ID_KEY, request_id),)


def remaining_s(context: ServicerContext) -> float:
    """Seconds until the call's deadline; the default where the caller set none."""
    left = context.time_remaining()
    return DEADLINE_S.most if left is None else min(float(left), DEADLINE_S.most)


def check_request_id(request_id: str) -> str:
    """Raise RequestError unless the id may appear in logs and file names."""
    if not REQUEST_ID_PATTERN.fullmatch(request_id):
        raise RequestError(_ID_RULE, param="request.id")
    return request_id


def error_param(error: grpc.aio.AioRpcError) -> str | None:
    """The field that a status blames, from its metadata."""
    for key, value in error.trailing_metadata() or ():
        if key == PARAM_KEY:
            return str(value)
    return None


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns exceptions into statuses and binds the request id of the call to the logs.

    `statuses` adds a package's own exceptions to those of `bagel.errors`.
    """

    def __init__(self, statuses: Mapping[type[BagelError], StatusCode] | None = None) -> None:
        self._statuses = {**(statuses or {}), **STATUS_OF}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith("/grpc."):
            return handler
        request_id = _metadata_value(handler_call_details.invocation_metadata or (), REQUEST_ID_KEY)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._wrap_unary(handler.unary_unary, request_id),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._wrap_stream(handler.unary_stream, request_id),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        return handler

    def _wrap_unary(self, method: Callable[..., Any], request_id: str | None) -> Callable[..., Any]:
        async def wrapped(request: Any, context: ServicerContext) -> Any:
            _bind(request_id)
            try:
                return await method(request, context)
            except Exception as error:  # noqa: BLE001 - the process's one boundary
                await self._abort(error, context)

        return wrapped

    def _wrap_stream(self, method: Callable[..., Any], request_id: str | None) -> Callable[..., Any]:
        async def wrapped(request: Any, context: ServicerContext) -> AsyncIterator[Any]:
            _bind(request_id)
            try:
                async for event in method(request, context):
                    yield event
            except Exception as error:  # noqa: BLE001 - the process's one boundary
                await self._abort(error, context)

        return wrapped

    async def _abort(self, error: Exception, context: ServicerContext) -> None:
        if isinstance(error, grpc.aio.AbortError | asyncio.CancelledError):
            raise error
        if not isinstance(error, BagelError):
            get_logger().error("rpc_failed", exc_info=error)
            await context.abort(StatusCode.INTERNAL, f"internal error: {type(error).__name__}; see the server's log")
        status = next((code for kind, code in self._statuses.items() if isinstance(error, kind)), StatusCode.INTERNAL)
        get_logger().info("rpc_refused", status=status.name, reason=str(error))
        param = error.param if isinstance(error, RequestError) else None
        await context.abort(status, str(error), ((PARAM_KEY, param),) if param else ())


def _bind(request_id: str | None) -> None:
    if request_id is not None:
        bind_request(request_id)


def _metadata_value(pairs: Iterable[tuple[str, str | bytes]], wanted: str) -> str | None:
    value = next((value for key, value in pairs if key == wanted), None)
    return value if isinstance(value, str) and REQUEST_ID_PATTERN.fullmatch(value) else None
