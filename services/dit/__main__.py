"""`python -m services.dit`: builds the DiT's process and hands every part to those that need it."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from grpc import StatusCode

from bagel.errors import BagelError
from bagel.model.attention import sdpa_attention
from bagel.model.device import device_name
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import DitModel
from bagel.stage import StageConfig, StageMonitor, StageParts, add_stage_flags, parse_stage_config, run_stage
from bagel.tokens import read_special_tokens
from bagel.v1 import dit_pb2_grpc
from services.dit.denoiser import Denoiser
from services.dit.engine import DitEngine, Observe, observe_no_request
from services.dit.fetcher import Fetcher
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
        servicer = DitServicer(monitor)

        def load() -> None:
            servicer.loaded = load_dit(config, monitor, noise, planes, connectors.inline_bytes, device_thread, observe)

        async def run() -> None:
            assert servicer.loaded is not None
            await servicer.loaded.engine.run()

        return StageParts(
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
        engine=DitEngine(denoiser, fetcher, scheduler, noise, device_thread, observe),
        model_name=opened.name,
        model_hash=opened.hash,
        device_name=device_name(opened.device),
    )


if __name__ == "__main__":
    sys.exit(main())
