"""`python -m services.dit`: builds the DiT's process and hands every part to those that need it."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from grpc import StatusCode

from bagel.checkpoint import model_hash, resolve_model
from bagel.config import load_model_config
from bagel.errors import BagelError
from bagel.kv_layout import KvLayout
from bagel.model.attention import sdpa_attention
from bagel.model.device import device_name, open_device, resolve_dtype
from bagel.model.kv import torch_dtype
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.stages import DitModel
from bagel.model.weights import DummySource, SafetensorsSource, build_stage
from bagel.progress import LoadProgress
from bagel.stage import StageConfig, StageMonitor, StageParts, add_stage_flags, run_stage, stage_config
from bagel.tokens import read_special_tokens
from bagel.v1 import dit_pb2_grpc
from services.dit.denoiser import Denoiser
from services.dit.engine import DitEngine, Observe, observe_no_request
from services.dit.fetcher import Fetcher
from services.dit.scheduler import Scheduler
from services.dit.servicer import DitServicer, Loaded, NotBuiltError
from transport.base import Transport
from transport.errors import (
    PeerLostError,
    TransferCorruptError,
    TransferRefusedError,
    TransferTimeoutError,
)
from transport.open import open_transport

SERVICES = ("bagel.v1.Dit",)
STATUSES: dict[type[BagelError], StatusCode] = {
    NotBuiltError: StatusCode.UNIMPLEMENTED,
    PeerLostError: StatusCode.ABORTED,
    TransferRefusedError: StatusCode.ABORTED,
    TransferTimeoutError: StatusCode.DEADLINE_EXCEEDED,
    TransferCorruptError: StatusCode.DATA_LOSS,
}


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-dit", description="A DiT of a BAGEL deployment.")
    add_stage_flags(parser)
    return run_dit(stage_config(parser.parse_args(argv)), SeededNoise())


def run_dit(config: StageConfig, noise: NoiseSource, observe: Observe = observe_no_request) -> int:
    """Run until a signal; the exit status. `observe` sees what the engine computes."""

    def parts(monitor: StageMonitor, device_thread: ThreadPoolExecutor) -> StageParts:
        transport = open_transport(config.transport, bind=config.kv_bind, advertise_host=config.kv_advertise_host)
        servicer = DitServicer(monitor)

        def load() -> None:
            servicer.loaded = load_dit(config, monitor, noise, transport, device_thread, observe)

        async def run() -> None:
            assert servicer.loaded is not None
            await servicer.loaded.engine.run()

        return StageParts(
            name="dit",
            services=SERVICES,
            statuses=STATUSES,
            add_services=lambda server: dit_pb2_grpc.add_DitServicer_to_server(servicer, server),
            load=load,
            run=run,
            busy=lambda: servicer.loaded.engine.busy if servicer.loaded else 0,
            close=transport.close,
        )

    return run_stage(config, parts)


def load_dit(
    config: StageConfig,
    monitor: StageMonitor,
    noise: NoiseSource,
    transport: Transport,
    device_thread: ThreadPoolExecutor,
    observe: Observe,
) -> Loaded:
    """Model, landing memory and engine. Runs on the device thread."""
    if config.threads:
        torch.set_num_threads(config.threads)
    source = resolve_model(config.model, load_format=config.load_format, revision=config.revision)
    model_config = load_model_config(source.folder)
    special = read_special_tokens(source.folder)
    device = open_device(config.device)
    dtype = resolve_dtype(config.dtype, device)
    with LoadProgress("dit weights", bar=False if config.plain_progress else None) as progress:
        monitor.explain(lambda: f"loading {progress.text}")
        model = build_stage(
            lambda: DitModel(model_config, (special.image_start, special.image_end)),
            DummySource(model_config) if source.dummy else SafetensorsSource(source.folder, model_config),
            device=device,
            dtype=torch_dtype(dtype),
            progress=progress,
        )
    layout = KvLayout.of(model_config.llm, page_tokens=config.kv_page_tokens, dtype=dtype)
    landing = transport.allocate(layout.pages_for(config.kv_pool_tokens) * layout.page_bytes, device)
    denoiser = Denoiser(model, layout, sdpa_attention, device)
    fetcher = Fetcher(transport, layout, landing)
    scheduler = Scheduler(max_queue=config.max_queue)
    engine = DitEngine(denoiser, fetcher, scheduler, noise, device_thread, observe)
    return Loaded(
        config=model_config,
        engine=engine,
        model_name=config.model_name or source.name,
        model_hash=model_hash(source, model_config),
        device_name=device_name(device),
        transport=transport.capabilities.name,
    )


if __name__ == "__main__":
    sys.exit(main())
