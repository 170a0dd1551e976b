"""The gRPC servers of the gateway: the public service with its health, and reflection on a port of its own."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bagel.errors import ConfigError
from bagel.logs import get_logger
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor, ServicerContext
from bagel.v1 import bagel_pb2, bagel_pb2_grpc
from services.gateway.door.callers import Callers
from services.gateway.door.service import BagelServicer
from services.gateway.door.statuses import STATUSES
from services.gateway.serving import Serving
from services.gateway.stages import Stages

Responses: TypeAlias = AsyncGenerator[health_pb2.HealthCheckResponse, None]
SERVICE = bagel_pb2.DESCRIPTOR.services_by_name["Bagel"].full_name
LOOK_S = 1.0  # between two looks at the stages for whoever watches the health


class Door:
    """The servers, from `open` to `close`."""

    def __init__(self, serving: Serving, callers: Callers, *, bind: str | None, admin_bind: str | None) -> None:
        self._serving, self._callers, self._bind, self._admin_bind = serving, callers, bind, admin_bind
        self._servers: list[grpc.aio.Server] = []

    async def open(self) -> None:
        """Serve, if there is an address to serve at. Raises ConfigError when it cannot be had."""
        if self._bind is None:
            return
        server = grpc.aio.server(interceptors=[ErrorInterceptor(STATUSES)], options=SERVER_OPTIONS)
        bagel_pb2_grpc.add_BagelServicer_to_server(BagelServicer(self._serving, self._callers), server)
        health_pb2_grpc.add_HealthServicer_to_server(StagesHealth(self._serving.stages), server)
        ports = {"grpc": await self._start(server, self._bind, "--grpc-bind")}
        if self._admin_bind is not None:
            admin = grpc.aio.server()
            reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), admin)
            ports["grpc_admin"] = await self._start(admin, self._admin_bind, "--grpc-admin-bind")
        get_logger().info("serving_grpc", **ports)

    async def close(self, grace_s: float) -> None:
        """Let running calls end for so long, then stop."""
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
        self._stages = stages

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r} here")
        return self._response()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: ServicerContext) -> Responses:
        told = None
        while True:
            now = self._response()
            if now != told:
                yield now
                told = now
            await asyncio.sleep(LOOK_S)

    def _response(self) -> health_pb2.HealthCheckResponse:
        statuses = health_pb2.HealthCheckResponse
        return statuses(status=statuses.NOT_SERVING if self._stages.missing() else statuses.SERVING)
