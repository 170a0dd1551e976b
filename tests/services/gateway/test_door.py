"""The gRPC door without stages: keys, health, reflection, and addresses that cannot be had."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bagel.errors import ConfigError
from bagel.limits import CALLS
from bagel.v1 import bagel_pb2, bagel_pb2_grpc
from services.gateway.config import GatewayConfig
from services.gateway.door.callers import Callers
from services.gateway.door.server import SERVICE, Door
from services.gateway.key_check import Keys
from services.gateway.key_limits import Allowance
from services.gateway.keys import KeyFile, add_key
from services.gateway.serving import Serving
from services.gateway.stages import Stages
from tests.polling import TIMEOUT_S
from tests.ports import free_port


@asynccontextmanager
async def opened(*, bind: str, admin_bind: str | None = None, keys: Keys | None = None) -> AsyncIterator[Door]:
    serving = Serving(Stages(), GatewayConfig())
    door = Door(serving, Callers(keys), bind=bind, admin_bind=admin_bind)
    await door.open()
    try:
        yield door
    finally:
        await door.start_closing(0)


async def test_keys_are_asked_for_and_held_to_their_limits(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    secret = add_key(path, "one", per_minute=6, at_once=None)
    keys = Keys(KeyFile(path), Allowance(per_minute=None, at_once=None))
    address = f"127.0.0.1:{free_port()}"
    async with opened(bind=address, keys=keys), grpc.aio.insecure_channel(address) as channel:
        stub = bagel_pb2_grpc.BagelStub(channel)
        found = []
        for metadata in ([], [("authorization", "Bearer no")], *[[("authorization", f"Bearer {secret}")]] * 2):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _ in stub.Chat(bagel_pb2.ChatRequest(), timeout=TIMEOUT_S, metadata=metadata):
                    pass
            found.append(refused.value.code().name)
        # Nothing is behind this door, and one request in ten seconds is allowed.
        assert found == ["UNAUTHENTICATED", "UNAUTHENTICATED", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetModel(bagel_pb2.GetModelRequest(), timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_tells_of_missing_stages_and_reflection_lists_the_service() -> None:
    address, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with (
        opened(bind=address, admin_bind=admin) as door,
        grpc.aio.insecure_channel(address) as channel,
        grpc.aio.insecure_channel(admin) as other,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        states = health_pb2.HealthCheckResponse
        assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)).status == states.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError, match="no service 'else'"):
            await health.Check(health_pb2.HealthCheckRequest(service="else"), timeout=TIMEOUT_S)
        watching = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=TIMEOUT_S)
        assert (await watching.read()).status == states.NOT_SERVING
        unknown = health.Watch(health_pb2.HealthCheckRequest(service="else"), timeout=TIMEOUT_S)
        assert (await unknown.read()).status == states.SERVICE_UNKNOWN
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stub = reflection_pb2_grpc.ServerReflectionStub(other)
        answers = [answer async for answer in stub.ServerReflectionInfo(asked, timeout=TIMEOUT_S)]
        assert SERVICE in [service.name for service in answers[0].list_services_response.service]
        closing = door.start_closing(30)
        assert (await watching.read()).status == states.NOT_SERVING
        assert await watching.read() is grpc.aio.EOF
        await asyncio.wait_for(closing, 10)


async def test_compressed_messages_are_refused_unread() -> None:
    address = f"127.0.0.1:{free_port()}"
    packed = grpc.aio.insecure_channel(address, compression=grpc.Compression.Gzip)
    async with opened(bind=address), packed as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in bagel_pb2_grpc.BagelStub(channel).Understand(
                bagel_pb2.UnderstandRequest(question="a" * 100_000), timeout=TIMEOUT_S
            ):
                pass
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_calls_over_their_number_are_refused() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with opened(bind=address), grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watching = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(CALLS.most)]
        for call in watching:
            await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in watching:
            call.cancel()


async def test_an_address_that_is_taken_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with opened(bind=address):
        with pytest.raises(ConfigError, match=f"--grpc-bind {address}: cannot listen there"):
            async with opened(bind=address):
                pass
