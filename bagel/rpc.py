"""What every gRPC server and client here does alike: limits, deadlines, request ids, errors <-> statuses.

A stage catches `Exception` for its requests in one place, `ErrorInterceptor`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from bagel.tracing import annotate, headers, serving
from bagel.v1 import kv_pb2

REQUEST_ID_KEY = "x-request-id"
PARAM_KEY = "bagel-param"
# gRPC's own name: clients that retry by policy wait that long.
PUSHBACK_KEY = "grpc-retry-pushback-ms"
REQUEST_ID_PATTERN = re.compile(rf"[A-Za-z0-9._-]{{1,{REQUEST_ID_CHARACTERS.most}}}")
_ID_RULE = f"request.id must be 1 to {REQUEST_ID_CHARACTERS.most} characters of A-Z a-z 0-9 . _ -"
_SHARED_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES.most),
    ("grpc.max_send_message_length", MESSAGE_BYTES.most),
)
SERVER_OPTIONS = (
    *_SHARED_OPTIONS,
    # A small compressed message is unpacked before its size is looked at: only what is not compressed is taken.
    ("grpc.compression_enabled_algorithms_bitset", 1),
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
    # Nothing but how long an attempt may take: a busy process answers its first frame late.
    ("grpc.min_reconnect_backoff_ms", 2_000),
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
    """Metadata that names the request in the logs of the service called, and the present span in its traces."""
    return ((REQUEST_ID_KEY, request_id), *headers())


def remaining_s(context: ServicerContext) -> float:
    """Seconds until the call's deadline; the default where the caller set none."""
    left = context.time_remaining()
    return DEADLINE_S.most if left is None else min(float(left), DEADLINE_S.most)


def try_id(request: kv_pb2.RequestId) -> str:
    """What a stage knows one try of a request by: the one before may still be on its way out.

    Raises RequestError unless the id may appear in logs and file names.
    """
    if not REQUEST_ID_PATTERN.fullmatch(request.id):
        raise RequestError(_ID_RULE, param="request.id")
    return request.id if request.attempt <= 1 else f"{request.id}.{request.attempt}"


def error_param(error: grpc.aio.AioRpcError) -> str | None:
    """The field that a status blames, from its metadata."""
    for key, value in error.trailing_metadata() or ():
        if key == PARAM_KEY:
            return str(value)
    return None


def error_pushback_s(error: grpc.aio.AioRpcError) -> float | None:
    """When a server that is full wants to be asked again, from its status's metadata."""
    for key, value in error.trailing_metadata() or ():
        if key == PUSHBACK_KEY and str(value).isdecimal():
            return int(value) / 1e3
    return None


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns exceptions into statuses, binds the request id of the call to the logs, and makes the call a span.

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
        call = _Call.of(handler_call_details)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._wrap_unary(handler.unary_unary, call),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._wrap_stream(handler.unary_stream, call),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._wrap_stream(handler.stream_stream, call),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        return handler

    def _wrap_unary(self, method: Callable[..., Any], call: "_Call") -> Callable[..., Any]:
        async def wrapped(request: Any, context: ServicerContext) -> Any:
            try:
                with call.entered():
                    return await method(request, context)
            except Exception as error:  # noqa: BLE001 - the process's one boundary
                await self._abort(error, context)

        return wrapped

    def _wrap_stream(self, method: Callable[..., Any], call: "_Call") -> Callable[..., Any]:
        async def wrapped(request: Any, context: ServicerContext) -> AsyncIterator[Any]:
            try:
                with call.entered():
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
        await context.abort(status, str(error), _trailing(error))


def _trailing(error: BagelError) -> tuple[tuple[str, str], ...]:
    match error:
        case RequestError(param=str(param)):
            return ((PARAM_KEY, param),)
        case OverloadedError(retry_after_s=seconds):
            return ((PUSHBACK_KEY, str(round(seconds * 1e3))),)
        case _:
            return ()


@dataclass(frozen=True, slots=True)
class _Call:
    """What the metadata of a call says about it."""

    name: str  # package.Service/Method
    request_id: str | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, details: grpc.HandlerCallDetails) -> "_Call":
        pairs: Iterable[tuple[str, str | bytes]] = details.invocation_metadata or ()
        headers = {key: value for key, value in pairs if isinstance(value, str)}
        sent = headers.get(REQUEST_ID_KEY, "")
        return cls(details.method.strip("/"), sent if REQUEST_ID_PATTERN.fullmatch(sent) else None, headers)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Work on it: a span, unless it only looks at something, as gateways do all the time."""
        if self.request_id is not None:
            bind_request(self.request_id)
        if "/Get" in self.name:
            yield
            return
        with serving(self.name, self.headers):
            annotate(**({"request_id": self.request_id} if self.request_id else {}))
            yield
