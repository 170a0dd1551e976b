"""The gRPC servers of the gateway: the public service with its health, and reflection on a port of its own."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bagel.errors import ConfigError
from bagel.limits import CALLS
from bagel.logs import get_logger
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor, ServicerContext
from bagel.v1 import bagel_pb2, bagel_pb2_grpc
from bagel.waiting import sleep_until
from services.gateway.door.callers import Callers, KeyInterceptor
from services.gateway.door.service import BagelServicer
from services.gateway.door.statuses import STATUSES
from services.gateway.serving import Serving
from services.gateway.stages import Stages

Responses: TypeAlias = AsyncGenerator[health_pb2.HealthCheckResponse, None]
states = health_pb2.HealthCheckResponse
SERVICE = bagel_pb2.DESCRIPTOR.services_by_name["Bagel"].full_name
LOOK_S = 1.0  # between two looks at the stages for whoever watches the health


class Door:
    """The servers, from `open` to `close`."""

    def __init__(self, serving: Serving, callers: Callers, *, bind: str | None, admin_bind: str | None) -> None:
        self._serving, self._callers, self._bind, self._admin_bind = serving, callers, bind, admin_bind
        self._servers: list[grpc.aio.Server] = []
        self._health = StagesHealth(serving.stages)
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Serve, if there is an address to serve at. Raises ConfigError when it cannot be had."""
        if self._bind is None:
            return
        server = grpc.aio.server(
            interceptors=[KeyInterceptor(self._callers, SERVICE), ErrorInterceptor(STATUSES)], options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=CALLS.most,
        )  # fmt: skip
        bagel_pb2_grpc.add_BagelServicer_to_server(BagelServicer(self._serving, self._callers), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        ports = {"grpc": await self._start(server, self._bind, "--grpc-bind")}
        if self._admin_bind is not None:
            admin = grpc.aio.server()
            reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), admin)
            ports["grpc_admin"] = await self._start(admin, self._admin_bind, "--grpc-admin-bind")
        get_logger().info("serving_grpc", **ports)

    def start_closing(self, grace_s: float) -> "asyncio.Task[None]":
        """Take no more calls, and let running ones end for so long; the task ends when all is over."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(grace_s))
        return self._closing

    async def _close(self, grace_s: float) -> None:
        self._health.close()
        await asyncio.gather(*(server.stop(grace_s) for server in self._servers))

    async def _start(self, server: grpc.aio.Server, bind: str, flag: str) -> str:
        try:
            port = server.add_insecure_port(bind)
        except RuntimeError as error:
            raise ConfigError(f"{flag} {bind}: cannot listen there; is the port taken? ({error})") from error
        await server.start()
        self._servers.append(server)
        return bind if bind.startswith("unix:") else f"{bind.rsplit(':', 1)[0]}:{port}"


class StagesHealth(health_pb2_grpc.HealthServicer):
    """gRPC's health protocol: SERVING as long as every kind of stage is there."""

    def __init__(self, stages: Stages) -> None:
        self._stages, self._closed = stages, asyncio.Event()

    def close(self) -> None:
        """Tell those who watch, and let them go."""
        self._closed.set()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r} here")
        return self._response()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: ServicerContext) -> Responses:
        if request.service not in ("", SERVICE):
            yield states(status=states.SERVICE_UNKNOWN)
            return
        told = None
        while not self._closed.is_set():
            now = self._response()
            if now != told:
                yield now
                told = now
            await sleep_until(self._closed, time.monotonic() + LOOK_S)
        yield self._response()

    def _response(self) -> health_pb2.HealthCheckResponse:
        away = self._closed.is_set() or self._stages.missing()
        return states(status=states.NOT_SERVING if away else states.SERVING)
