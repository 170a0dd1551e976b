"""`python -m services.thinker`: builds the Thinker's process and hands every part to those that need it."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from grpc import StatusCode

from bagel.errors import BagelError
from bagel.kv_layout import KvMemory
from bagel.model.attention import sdpa_attention
from bagel.model.device import device_name, peak_memory_bytes
from bagel.model.kv import pool_view
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import ThinkerModel
from bagel.stage import StageConfig, StageMonitor, StageParts, add_stage_flags, parse_stage_config, run_stage
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
from services.thinker.metrics import ThinkerMetrics
from services.thinker.pages import PagePool
from services.thinker.runner import Runner
from services.thinker.scheduler import Scheduler
from services.thinker.servicer import Loaded, ThinkerServicer
from transport.errors import LeaseEndedError
from transport.holder import Holder
from transport.memory import MemoryHub
from transport.open import open_planes
from transport.planes import Planes
from transport.pool import Pool
from transport.stage import connectors_of

STAGE_ID = 0
SERVICES = ("bagel.v1.Thinker", "bagel.v1.KvSource")
STATUSES: dict[type[BagelError], StatusCode] = {
    UnknownHandleError: StatusCode.NOT_FOUND,
    WrongTokenError: StatusCode.PERMISSION_DENIED,
    StaleHandleError: StatusCode.FAILED_PRECONDITION,
    LeaseOverError: StatusCode.ABORTED,
    LeaseEndedError: StatusCode.ABORTED,
}


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-thinker", description="The Thinker of a BAGEL deployment.")
    add_stage_flags(parser)
    return run_thinker(parse_stage_config(parser, argv), SeededNoise())


def run_thinker(config: StageConfig, noise: NoiseSource) -> int:
    """Run until a signal; the exit status."""

    def parts(monitor: StageMonitor, device_thread: ThreadPoolExecutor) -> StageParts:
        planes = open_planes(connectors_of(config, STAGE_ID).planes, MemoryHub())
        leases = LeaseBook(monitor.epoch)
        metrics = ThinkerMetrics()
        servicer = ThinkerServicer(monitor, leases, metrics)
        kv = KvSourceServicer(servicer, leases)

        def load() -> None:
            servicer.loaded = load_thinker(config, monitor, noise, planes, device_thread, metrics)
            _add_gauges(metrics, servicer.loaded.engine, leases)

        async def run() -> None:
            assert servicer.loaded is not None
            await servicer.loaded.engine.run()

        return StageParts(
            registry=metrics.registry,
            services=SERVICES,
            statuses=STATUSES,
            add_services=lambda server: (
                thinker_pb2_grpc.add_ThinkerServicer_to_server(servicer, server),
                kv_pb2_grpc.add_KvSourceServicer_to_server(kv, server),
            ),
            load=load,
            run=run,
            busy=lambda: servicer.loaded.engine.busy if servicer.loaded else 0,
            close=planes.close,
        )

    return run_stage("thinker", config, parts)


def load_thinker(
    config: StageConfig,
    monitor: StageMonitor,
    noise: NoiseSource,
    planes: Planes,
    device_thread: ThreadPoolExecutor,
    metrics: ThinkerMetrics,
) -> Loaded:
    """Model, pool and engine. Runs on the device thread."""
    opened = open_model(config)
    tokenizer, layout = Tokenizer(opened.source.folder), opened.layout
    model = load_stage(opened, lambda: ThinkerModel(opened.config), config, monitor)
    pages = PagePool(layout.pages_for(config.kv_pool_tokens), layout.page_tokens)
    pool = Pool(num_pages=pages.num_pages, page_bytes=layout.page_bytes, epoch=monitor.epoch, device=opened.device)
    holder = Holder(pool, planes.all)
    memory = pool_view(pool.region.tensor, KvMemory.in_order(layout))
    runner = Runner(model, tokenizer.special, pages, memory, layout, sdpa_attention)
    scheduler = Scheduler(num_pages=pages.num_pages, page_tokens=layout.page_tokens, max_queue=config.max_queue)
    return Loaded(
        config=opened.config,
        tokenizer=tokenizer,
        layout=layout,
        engine=ThinkerEngine(runner, scheduler, tokenizer, noise, holder, device_thread, metrics),
        holder=holder,
        model_name=opened.name,
        model_hash=opened.hash,
        device_name=device_name(opened.device),
    )


def _add_gauges(metrics: ThinkerMetrics, engine: ThinkerEngine, leases: LeaseBook) -> None:
    pages, scheduler, device = engine.runner.pages, engine.scheduler, engine.runner.marker_ids.device
    metrics.gauge("running_requests", "Requests on the device", lambda: scheduler.running)
    metrics.gauge("waiting_requests", "Requests before it", lambda: scheduler.queued)
    metrics.gauge("free_pages", "KV pages nobody holds", lambda: pages.free_pages)
    metrics.gauge("used_pages", "KV pages that requests hold", lambda: pages.num_pages - pages.free_pages)
    metrics.gauge("open_leases", "Contexts that DiTs may read", lambda: len(leases))
    metrics.gauge("open_grants", "Reads of contexts", lambda: leases.grants)
    metrics.gauge("peak_memory_bytes", "Most device memory held, 0 on a CPU", lambda: peak_memory_bytes(device))


if __name__ == "__main__":
    sys.exit(main())
