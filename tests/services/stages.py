"""Stages served from this process, over real sockets, with the golden checkpoint: one start costs no second import."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import torch
from PIL import Image
from prometheus_client import CollectorRegistry

from bagel import wire
from bagel.contexts import Role
from bagel.device_thread import DeviceThread
from bagel.model.noise import SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import DitModel, ThinkerModel, ThinkerParts, weight_bytes
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor, open_channel
from bagel.settings import DecodeSettings, SamplerSettings
from bagel.stage import StageHost, StageMonitor
from bagel.stage_flags import StageConfig
from bagel.tasks import read_tasks
from bagel.tokens import read_special_tokens
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, settings_pb2, thinker_pb2, thinker_pb2_grpc
from services.dit.assembly import STATUSES as DIT_STATUSES
from services.dit.assembly import DitAssembly, Reading
from services.dit.engine import observe_no_request
from services.launch.single import SingleAssembly
from services.thinker.assembly import STATUSES as THINKER_STATUSES
from services.thinker.assembly import ThinkerAssembly
from transport.configs import MemoryConfig, PlaneConfig
from transport.memory import MemoryHub
from transport.open import open_planes

CHECKPOINT = "tests/golden/checkpoint"
TIMEOUT_S = 60.0
WITHIN = MemoryConfig()
Assembly = ThinkerAssembly | DitAssembly | SingleAssembly
Made = tuple[Assembly, Callable[[], int], Callable[[], None]]  # loads and says the bytes of weights; closes


class Stage:
    """A stage under test: its stubs, its parts, its figures, and the bytes of its weights."""

    def __init__(self, assembly: Assembly, host: StageHost, channel: grpc.aio.Channel, num_bytes: int) -> None:
        self.assembly, self.host, self.num_bytes = assembly, host, num_bytes
        self.thinker, self.dit = thinker_pb2_grpc.ThinkerStub(channel), dit_pb2_grpc.DitStub(channel)

    async def status(self) -> settings_pb2.StageStatus:
        stub = self.dit if isinstance(self.assembly, DitAssembly) else self.thinker
        return await stub.GetStatus(settings_pb2.GetStatusRequest(), timeout=TIMEOUT_S)

    def figure(self, name: str, **labels: str) -> float:
        """A sample of the process's metrics."""
        value = self.host.registry.get_sample_value(name, labels)
        assert value is not None, f"no {name} {labels}"
        return value

    async def write(self, request: thinker_pb2.GenerateTextRequest) -> thinker_pb2.TextDone:
        async for event in self.thinker.GenerateText(request, timeout=TIMEOUT_S):
            if event.HasField("done"):
                return event.done
        raise AssertionError("no text came")


@asynccontextmanager
async def running_thinker(hub: MemoryHub | None = None, **flags: Any) -> AsyncIterator[Stage]:
    def make(host: StageHost) -> Made:
        planes = open_planes((WITHIN,), hub or MemoryHub())
        thinker = ThinkerAssembly(host, planes, SeededNoise())

        def load() -> int:
            opened, parts = open_model(host.config), ThinkerParts.of(read_tasks(host.config.tasks))
            model = load_stage(opened, lambda: ThinkerModel(opened.config, parts), host.config, host.monitor)
            thinker.start(opened, model)
            return weight_bytes(model)

        return thinker, load, planes.close

    async with _served(make, flags) as stage:
        yield stage


@asynccontextmanager
async def running_dit(
    hub: MemoryHub,
    plane: PlaneConfig = WITHIN,
    **flags: Any,
) -> AsyncIterator[Stage]:
    def make(host: StageHost) -> Made:
        planes = open_planes((plane,), hub)
        dit = DitAssembly(host, Reading(planes, 0), SeededNoise(), observe_no_request)

        def load() -> int:
            opened = open_model(host.config)
            markers = read_special_tokens(opened.source.folder).markers
            model = load_stage(opened, lambda: DitModel(opened.config, markers), host.config, host.monitor)
            dit.start(opened, model)
            return weight_bytes(model)

        return dit, load, planes.close

    async with _served(make, flags) as stage:
        yield stage


@asynccontextmanager
async def running_single(**flags: Any) -> AsyncIterator[Stage]:
    def make(host: StageHost) -> Made:
        single = SingleAssembly(host, SeededNoise(), observe_no_request)

        def load() -> int:
            single.start()
            return 0

        return single, load, single.close

    async with _served(make, flags) as stage:
        yield stage


@asynccontextmanager
async def _served(make: Callable[[StageHost], Made], flags: dict[str, Any]) -> AsyncIterator[Stage]:
    config = StageConfig(
        model=CHECKPOINT, device="cpu", plain_progress=True, **{"kv_pool_tokens": 2048, "threads": 1, **flags}
    )
    with DeviceThread() as device, _threads_kept():
        monitor = StageMonitor(device)
        host = StageHost(config=config, monitor=monitor, device=device, registry=CollectorRegistry())
        assembly, load, close = make(host)
        server = grpc.aio.server(
            interceptors=[ErrorInterceptor(THINKER_STATUSES | DIT_STATUSES)], options=SERVER_OPTIONS
        )
        assembly.add_services(server)
        monitor.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        num_bytes = await device.run(load)
        monitor.enter(settings_pb2.STAGE_STATE_READY, lambda: "ready")
        running = asyncio.create_task(assembly.run())
        try:
            async with open_channel(monitor.address) as channel:
                yield Stage(assembly, host, channel, num_bytes)
        finally:
            await server.stop(0)
            running.cancel()
            await asyncio.wait({running})
            close()


@contextmanager
def _threads_kept() -> Iterator[None]:
    """A stage sets the threads of its whole process: here of the tests', too."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def picture_bytes(width: int = 96, height: int = 64) -> bytes:
    """A PNG file."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, format="PNG")
    return out.getvalue()


def text_request(
    text: str = "Hello", *pictures: bytes, name: str = "text", **decode: Any
) -> thinker_pb2.GenerateTextRequest:
    """A text, after pictures if there are any."""
    request = thinker_pb2.GenerateTextRequest(
        request=kv_pb2.RequestId(id=name, attempt=1),
        decode=wire.decode_to_proto(DecodeSettings(**{"max_tokens": 8, **decode})),
    )
    for data in pictures:
        request.segments.add().image.data = data
    request.segments.add().text.text = text
    return request


def context_request(
    text: str = "A cat", *pictures: bytes, name: str = "picture", think: bool = False, side: int = 64
) -> thinker_pb2.PrepareContextRequest:
    """A picture to be drawn, or an edit."""
    request = thinker_pb2.PrepareContextRequest(
        request=kv_pb2.RequestId(id=name, attempt=1),
        think=think,
        roles=wire.roles_to_proto((Role.CFG_TEXT, Role.CFG_IMG)),
        decode=wire.decode_to_proto(DecodeSettings(max_tokens=8)) if think else None,
        size=settings_pb2.ImageSize(height=side, width=side),
    )
    for data in pictures:
        request.segments.add().image.data = data
    request.segments.add().text.text = text
    return request


async def draw(
    thinker: thinker_pb2_grpc.ThinkerStub,
    dit: dit_pb2_grpc.DitStub,
    request: thinker_pb2.PrepareContextRequest,
    *,
    steps: int = 3,
) -> list[dit_pb2.GenerateEvent]:
    """What the DiT says of a picture, to its end."""
    lease = thinker.PrepareContext(request, timeout=TIMEOUT_S)
    try:
        async for event in lease:
            if event.HasField("handle"):
                wanted = dit_pb2.GenerateRequest(
                    request=request.request,
                    handle=event.handle,
                    sampler=wire.sampler_to_proto(SamplerSettings(num_timesteps=steps + 1)),
                    seed=5,
                )
                return [said async for said in dit.Generate(wanted, timeout=TIMEOUT_S)]
    finally:
        lease.cancel()
    raise AssertionError("no handle came")


def drawn(events: list[dit_pb2.GenerateEvent]) -> bytes:
    """The picture's file."""
    (data,) = (event.picture.data for event in events if event.HasField("picture"))
    return data
