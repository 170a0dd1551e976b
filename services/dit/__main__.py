"""`python -m services.dit`: builds the DiT's process and hands every part to those that need it."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from grpc import StatusCode

from bagel.errors import BagelError
from bagel.model.attention import sdpa_attention
from bagel.model.device import device_name, peak_memory_bytes
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import DitModel
from bagel.stage import StageConfig, StageMonitor, StageParts, add_stage_flags, parse_stage_config, run_stage
from bagel.tokens import read_special_tokens
from bagel.v1 import dit_pb2_grpc
from services.dit.denoiser import Denoiser
from services.dit.engine import DitEngine, Observe, observe_no_request
from services.dit.fetcher import Fetcher
from services.dit.metrics import DitMetrics
from services.dit.pulling import LandingMemory
from services.dit.scheduler import Scheduler
from services.dit.servicer import DitServicer, Loaded
from transport.base import Region
from transport.errors import (
    PeerLostError,
    TransferCorruptError,
    TransferRefusedError,
    TransferTimeoutError,
)
from transport.memory import MemoryHub
from transport.open import open_planes
from transport.planes import Planes
from transport.stage import connectors_of

STAGE_ID = 1
SERVICES = ("bagel.v1.Dit",)
STATUSES: dict[type[BagelError], StatusCode] = {
    PeerLostError: StatusCode.ABORTED,
    TransferRefusedError: StatusCode.ABORTED,
    TransferTimeoutError: StatusCode.DEADLINE_EXCEEDED,
    TransferCorruptError: StatusCode.DATA_LOSS,
}


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-dit", description="A DiT of a BAGEL deployment.")
    add_stage_flags(parser)
    return run_dit(parse_stage_config(parser, argv), SeededNoise())


def run_dit(config: StageConfig, noise: NoiseSource, observe: Observe = observe_no_request) -> int:
    """Run until a signal; the exit status. `observe` sees what the engine computes."""

    def parts(monitor: StageMonitor, device_thread: ThreadPoolExecutor) -> StageParts:
        connectors = connectors_of(config, STAGE_ID)
        planes = open_planes(connectors.planes, MemoryHub())
        metrics = DitMetrics()
        servicer = DitServicer(monitor, metrics)

        def load() -> None:
            inline = connectors.inline_bytes
            servicer.loaded = load_dit(config, monitor, noise, planes, inline, device_thread, observe, metrics)
            _add_gauges(metrics, servicer.loaded.engine)

        async def run() -> None:
            assert servicer.loaded is not None
            await servicer.loaded.engine.run()

        return StageParts(
            registry=metrics.registry,
            services=SERVICES,
            statuses=STATUSES,
            add_services=lambda server: dit_pb2_grpc.add_DitServicer_to_server(servicer, server),
            load=load,
            run=run,
            busy=lambda: servicer.loaded.engine.busy if servicer.loaded else 0,
            close=planes.close,
        )

    return run_stage("dit", config, parts)


def load_dit(
    config: StageConfig,
    monitor: StageMonitor,
    noise: NoiseSource,
    planes: Planes,
    inline_bytes: int,
    device_thread: ThreadPoolExecutor,
    observe: Observe,
    metrics: DitMetrics,
) -> Loaded:
    """Model, landing memory and engine. Runs on the device thread."""
    opened = open_model(config)
    special, layout = read_special_tokens(opened.source.folder), opened.layout
    markers = special.image_start, special.image_end
    model = load_stage(opened, lambda: DitModel(opened.config, markers), config, monitor)
    num_bytes = layout.pages_for(config.kv_pool_tokens) * layout.page_bytes
    landing = Region(torch.zeros(num_bytes, dtype=torch.uint8, device=opened.device))
    planes.prepare(landing)
    denoiser = Denoiser(model, layout, sdpa_attention, opened.device)
    fetcher = Fetcher(planes, layout, LandingMemory(landing, layout.page_bytes), inline_bytes=inline_bytes)
    scheduler = Scheduler(max_queue=config.max_queue)
    return Loaded(
        config=opened.config,
        engine=DitEngine(denoiser, fetcher, scheduler, noise, device_thread, metrics, observe),
        model_name=opened.name,
        model_hash=opened.hash,
        device_name=device_name(opened.device),
    )


def _add_gauges(metrics: DitMetrics, engine: DitEngine) -> None:
    places, scheduler, device = engine.fetcher.landing.places, engine.scheduler, engine.denoiser.device
    metrics.gauge("running_requests", "Requests being denoised", lambda: scheduler.running)
    metrics.gauge("waiting_requests", "Requests before it, with their contexts or without", lambda: scheduler.queued)
    metrics.gauge("free_pages", "Places for KV pages that are free", lambda: places.free_places)
    metrics.gauge(
        "used_pages", "Places for KV pages that are set aside", lambda: places.num_places - places.free_places
    )
    metrics.gauge("peak_memory_bytes", "Most device memory held, 0 on a CPU", lambda: peak_memory_bytes(device))


if __name__ == "__main__":
    sys.exit(main())
