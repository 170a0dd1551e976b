"""Thinker and DiT in this process, without a server's life around them: no signals, no draining, no master.

The same engines as `services.launch.single`, over one set of weights. The gateway's code reaches them as it does
everywhere, by gRPC, at a socket that nobody else can open; KV pages stay in this process.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from bagel.device_thread import DeviceThread
from bagel.model.noise import SeededNoise
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor
from bagel.stage import STOP_GRACE_S, StageHost, StageMonitor
from bagel.stage_flags import StageConfig
from bagel.v1 import settings_pb2
from services.dit.engine import observe_no_request
from services.gateway.stages import Stages
from services.launch.deploy.load import Deployment
from services.launch.single import STATUSES, SingleAssembly

LOOK_S = 0.02
NEVER_S = float("inf")  # nothing takes over from engines of this process, however long a step of theirs is


@dataclass(frozen=True, slots=True)
class StageLimits:
    """What of a deployment's stages holds for one process with both engines."""

    flags: dict[str, Any]  # fields of a StageConfig
    at_once: int | None
    device: str | None
    unused: tuple[str, ...]  # fields that were said and mean nothing here


def limits_of(deployment: Deployment, platform: str) -> StageLimits:
    """Of two stages the tighter one's; memory as the one that has more, on the first device that is named."""
    fields = [deployment.fields_of(stage) for stage in deployment.pipeline.stages]
    flags = {}
    for name, choose in (
        ("max_num_seqs", min), ("max_num_batched_tokens", min), ("max_model_len", min), ("gpu_memory_utilization", max)
    ):  # fmt: skip
        said = [value for each in fields if (value := getattr(each, name)) is not None]
        flags.update({name: choose(said)} if said else {})
    most = [each.max_inflight for each in fields if each.max_inflight is not None]
    most += [] if deployment.part.max_inflight is None else [deployment.part.max_inflight]
    devices = [name.strip() for each in fields if each.devices is not None for name in each.devices.split(",")]
    named = devices[0] if devices and devices[0].isdigit() and platform != "cpu" else None
    names = ("tasks", "env", "input_connectors", "output_connectors")
    unused = [name for name in names if any(getattr(each, name) is not None for each in fields)]
    unused += ["num_replicas"] if any((each.num_replicas or 1) > 1 for each in fields) else []
    unused += ["devices but one"] if len(set(devices)) > 1 else []
    unused += [] if deployment.part.connectors is None else ["connectors"]
    return StageLimits(flags, min(most, default=None), None if named is None else f"cuda:{named}", tuple(unused))


@asynccontextmanager
async def running_engines(config: StageConfig, device: DeviceThread) -> AsyncIterator[Stages]:
    """Loaded engines behind `config.bind`, a unix socket, as the gateway's code sees them. Raises ConfigError."""
    monitor = StageMonitor(device)
    host = StageHost(config=config, monitor=monitor, device=device, registry=CollectorRegistry())
    with ExitStack() as stack:
        single = SingleAssembly(host, SeededNoise(), observe_no_request)
        stack.callback(single.close)
        server = grpc.aio.server(interceptors=[ErrorInterceptor(STATUSES)], options=SERVER_OPTIONS)
        single.add_services(server)
        server.add_insecure_port(config.bind)
        monitor.address = config.bind
        await server.start()
        try:
            await device.run(single.start)
            monitor.enter(settings_pb2.STAGE_STATE_READY, lambda: "ready")
            running = asyncio.create_task(single.run())
            stages = Stages(hang_s=NEVER_S)
            try:
                for kind in ("thinker", "dit"):
                    stages.add(kind, config.bind)
                while stages.missing():
                    await asyncio.sleep(LOOK_S)
                yield stages
            finally:
                await stages.close()
                running.cancel()
                await asyncio.wait({running})
        finally:
            await server.stop(STOP_GRACE_S)
