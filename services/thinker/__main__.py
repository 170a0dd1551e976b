"""`python -m services.thinker`: builds the Thinker's process and hands every part to those that need it."""

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
from bagel.model.kv import pool_view, torch_dtype
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.stages import ThinkerModel
from bagel.model.weights import DummySource, SafetensorsSource, build_stage
from bagel.progress import LoadProgress
from bagel.stage import StageConfig, StageMonitor, StageParts, add_stage_flags, run_stage, stage_config
from bagel.tokens import Tokenizer
from bagel.v1 import kv_pb2_grpc, thinker_pb2_grpc
from services.thinker.engine import ThinkerEngine
from services.thinker.kv_servicer import KvSourceServicer
from services.thinker.leases import (
    LeaseBook,
    LeaseOverError,
    StaleHandleError,
    UnknownHandleError,
    WrongTokenError,
)
from services.thinker.pages import PagePool
from services.thinker.runner import Runner
from services.thinker.scheduler import Scheduler
from services.thinker.servicer import Loaded, ThinkerServicer
from transport.base import Transport
from transport.open import open_transport

SERVICES = ("bagel.v1.Thinker", "bagel.v1.KvSource")
STATUSES: dict[type[BagelError], StatusCode] = {
    UnknownHandleError: StatusCode.NOT_FOUND,
    WrongTokenError: StatusCode.PERMISSION_DENIED,
    StaleHandleError: StatusCode.FAILED_PRECONDITION,
    LeaseOverError: StatusCode.ABORTED,
}


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-thinker", description="The Thinker of a BAGEL deployment.")
    add_stage_flags(parser)
    return run_thinker(stage_config(parser.parse_args(argv)), SeededNoise())


def run_thinker(config: StageConfig, noise: NoiseSource) -> int:
    """Run until a signal; the exit status."""

    def parts(monitor: StageMonitor, device_thread: ThreadPoolExecutor) -> StageParts:
        transport = open_transport(config.transport, bind=config.kv_bind, advertise_host=config.kv_advertise_host)
        leases = LeaseBook(monitor.epoch)
        servicer = ThinkerServicer(monitor, leases)
        kv = KvSourceServicer(servicer, leases)

        def load() -> None:
            servicer.loaded = load_thinker(config, monitor, noise, transport, device_thread)

        async def run() -> None:
            assert servicer.loaded is not None
            await servicer.loaded.engine.run()

        return StageParts(
            name="thinker",
            services=SERVICES,
            statuses=STATUSES,
            add_services=lambda server: (
                thinker_pb2_grpc.add_ThinkerServicer_to_server(servicer, server),
                kv_pb2_grpc.add_KvSourceServicer_to_server(kv, server),
            ),
            load=load,
            run=run,
            busy=lambda: servicer.loaded.engine.busy if servicer.loaded else 0,
            close=transport.close,
        )

    return run_stage(config, parts)


def load_thinker(
    config: StageConfig,
    monitor: StageMonitor,
    noise: NoiseSource,
    transport: Transport,
    device_thread: ThreadPoolExecutor,
) -> Loaded:
    """Model, pool and engine. Runs on the device thread."""
    if config.threads:
        torch.set_num_threads(config.threads)
    source = resolve_model(config.model, load_format=config.load_format, revision=config.revision)
    model_config = load_model_config(source.folder)
    tokenizer = Tokenizer(source.folder)
    device = open_device(config.device)
    dtype = resolve_dtype(config.dtype, device)
    with LoadProgress("thinker weights", bar=False if config.plain_progress else None) as progress:
        monitor.explain(lambda: f"loading {progress.text}")
        model = build_stage(
            lambda: ThinkerModel(model_config),
            DummySource(model_config) if source.dummy else SafetensorsSource(source.folder, model_config),
            device=device,
            dtype=torch_dtype(dtype),
            progress=progress,
        )
    layout = KvLayout.of(model_config.llm, page_tokens=config.kv_page_tokens, dtype=dtype)
    pages = PagePool(layout.pages_for(config.kv_pool_tokens), layout.page_tokens)
    region = transport.allocate(pages.num_pages * layout.page_bytes, device)
    endpoint = transport.serve(region, page_bytes=layout.page_bytes, epoch=monitor.epoch)
    runner = Runner(model, tokenizer.special, pages, pool_view(region.tensor, layout), layout, sdpa_attention)
    scheduler = Scheduler(num_pages=pages.num_pages, page_tokens=layout.page_tokens, max_queue=config.max_queue)
    engine = ThinkerEngine(runner, scheduler, tokenizer, noise, transport, device_thread)
    return Loaded(
        config=model_config,
        tokenizer=tokenizer,
        layout=layout,
        engine=engine,
        transport=transport,
        endpoint=endpoint,
        model_name=config.model_name or source.name,
        model_hash=model_hash(source, model_config),
        device_name=device_name(device),
    )


if __name__ == "__main__":
    sys.exit(main())
