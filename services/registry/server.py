"""The registry as a server: its parts put together, for the time of a block."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from bagel.addresses import join_address, split_address
from bagel.errors import ConfigError
from bagel.master import read_token
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor
from bagel.v1 import registry_pb2_grpc
from services.registry.book import WorkerBook
from services.registry.config import LOOK_S, RegistryConfig
from services.registry.dialing import Dialer
from services.registry.errors import STATUSES
from services.registry.servicer import RegistryServicer

SERVICE = "bagel.v1.Registry"
STREAMS = 10_000


@dataclass(frozen=True, slots=True)
class Running:
    """A registry that listens. `failed` ends only if looking after its workers does, with that error."""

    address: str
    book: WorkerBook
    guarded: bool  # by a token
    failed: "asyncio.Task[None]"


@asynccontextmanager
async def running_registry(config: RegistryConfig) -> AsyncIterator[Running]:
    """Serve; at the end every stream is ended at once. Raises ConfigError."""
    token = read_token(config.join_token_file)
    book = WorkerBook(first_epoch=time.time_ns(), silence_s=config.silence_s)
    servicer = RegistryServicer(book, Dialer(), token=token, heartbeat_s=config.heartbeat_s)
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor(STATUSES)], options=SERVER_OPTIONS, maximum_concurrent_rpcs=STREAMS
    )
    registry_pb2_grpc.add_RegistryServicer_to_server(servicer, server)
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for name in ("", SERVICE):
        await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    address = _bind(server, config.bind)
    await server.start()
    looking = asyncio.create_task(servicer.look_after(min(LOOK_S, config.heartbeat_s)))
    try:
        yield Running(address, book, token is not None, looking)
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        await healthy.enter_graceful_shutdown()
        servicer.close()
        await server.stop(config.drain_s)


def _bind(server: grpc.aio.Server, bind: str) -> str:
    host, _ = split_address(bind, flag="--bind")
    try:
        return join_address(host, server.add_insecure_port(bind))
    except RuntimeError as error:
        raise ConfigError(f"--bind {bind}: cannot listen there; is the port taken? ({error})") from error
