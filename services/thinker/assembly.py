"""The Thinker's parts in a process, put together: what `services.thinker` runs alone, and others beside more.

Builds servicers at once and the engine when there is a model. Owns no data planes: whoever opened them closes them.
"""

import grpc
from grpc import StatusCode

from bagel.errors import BagelError
from bagel.kv_layout import KvMemory
from bagel.members import Kind, Load
from bagel.model.attention import sdpa_attention
from bagel.model.device import device_name, peak_memory_bytes
from bagel.model.kv import pool_view
from bagel.model.memory import context_tokens, pool_pages
from bagel.model.noise import NoiseSource
from bagel.model.opening import OpenedModel
from bagel.model.stages import ThinkerModel
from bagel.stage import StageHost
from bagel.tasks import read_tasks
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
from services.thinker.scheduler import Bounds, Scheduler
from services.thinker.servicer import Loaded, ThinkerServicer
from transport.errors import LeaseEndedError
from transport.holder import Holder
from transport.planes import Planes
from transport.pool import Pool

STAGE_ID, KIND = 0, Kind.THINKER
SERVICES = ("bagel.v1.Thinker", "bagel.v1.KvSource")
STATUSES: dict[type[BagelError], StatusCode] = {
    UnknownHandleError: StatusCode.NOT_FOUND,
    WrongTokenError: StatusCode.PERMISSION_DENIED,
    StaleHandleError: StatusCode.FAILED_PRECONDITION,
    LeaseOverError: StatusCode.ABORTED,
    LeaseEndedError: StatusCode.ABORTED,
}


class ThinkerAssembly:
    """One Thinker. `noise` samples input pictures; its pages are served over `planes`."""

    def __init__(self, host: StageHost, planes: Planes, noise: NoiseSource) -> None:
        self._host, self._planes, self._noise = host, planes, noise
        self._leases, self._metrics = LeaseBook(host.monitor.epoch), ThinkerMetrics(host.registry)
        self._servicer = ThinkerServicer(host.monitor, self._leases, self._metrics)

    def add_services(self, server: grpc.aio.Server) -> None:
        """Serve `SERVICES`; what needs the model is refused until `start`."""
        thinker_pb2_grpc.add_ThinkerServicer_to_server(self._servicer, server)
        kv_pb2_grpc.add_KvSourceServicer_to_server(KvSourceServicer(self._servicer, self._leases), server)

    def start(self, opened: OpenedModel, model: ThinkerModel, *, beside_bytes: int = 0) -> int:
        """Pool and engine for a model that is loaded; the pool's tokens. On the device thread. Raises ConfigError.

        `beside_bytes` of the device's memory are left to others in this process.
        """
        num_pages = pool_pages(self._host.config, opened.layout, opened.device, beside_bytes=beside_bytes)
        self._servicer.loaded = loaded = self._loaded(opened, model, num_pages)
        self._add_gauges(loaded.engine)
        return num_pages * opened.layout.page_tokens

    async def run(self) -> None:
        """Work until cancelled. After `start`."""
        assert self._servicer.loaded is not None
        await self._servicer.loaded.engine.run()

    @property
    def busy(self) -> int:
        """Requests that are prepared, wait, run or are leased."""
        return self._servicer.busy

    def load(self) -> Load:
        """How busy it is, for a master."""
        if self._servicer.loaded is None:
            return Load()
        engine = self._servicer.loaded.engine
        running, queued = engine.scheduler.running, engine.scheduler.queued
        return Load(running=running, queued=queued, free_pages=engine.runner.pages.free_pages)

    def _loaded(self, opened: OpenedModel, model: ThinkerModel, num_pages: int) -> Loaded:
        config, layout, device = self._host.config, opened.layout, opened.device
        most_tokens = context_tokens(config, pool_tokens=num_pages * layout.page_tokens)
        pool = Pool(num_pages=num_pages, page_bytes=layout.page_bytes, epoch=self._host.monitor.epoch, device=device)
        holder, tokenizer = Holder(pool, self._planes.all), Tokenizer(opened.source.folder)
        memory = pool_view(pool.region.tensor, KvMemory.in_order(layout))
        pages = PagePool(num_pages, layout.page_tokens)
        runner = Runner(model, tokenizer.special, pages, memory, layout, sdpa_attention)
        bounds = Bounds(
            num_pages=num_pages,
            page_tokens=layout.page_tokens,
            max_queue=config.max_queue,
            max_num_seqs=config.max_num_seqs,
            max_num_batched_tokens=config.max_num_batched_tokens,
        )
        engine = ThinkerEngine(
            runner, Scheduler(bounds), tokenizer, self._noise, holder, self._host.device, self._metrics
        )
        return Loaded(
            config=opened.config,
            tokenizer=tokenizer,
            layout=layout,
            engine=engine,
            holder=holder,
            tasks=read_tasks(config.tasks),
            max_context_tokens=most_tokens,
            model_name=opened.name,
            model_hash=opened.hash,
            device_name=device_name(device),
        )

    def _add_gauges(self, engine: ThinkerEngine) -> None:
        pages, scheduler, device = engine.runner.pages, engine.scheduler, engine.runner.marker_ids.device
        add, leases = self._metrics.gauge, self._leases
        add("running_requests", "Requests on the device", lambda: scheduler.running)
        add("waiting_requests", "Requests before it", lambda: scheduler.queued)
        add("free_pages", "KV pages nobody holds", lambda: pages.free_pages)
        add("used_pages", "KV pages that requests hold", lambda: pages.num_pages - pages.free_pages)
        add("open_leases", "Contexts that DiTs may read", lambda: len(leases))
        add("open_grants", "Reads of contexts", lambda: leases.grants)
        add("peak_memory_bytes", "Most device memory held, 0 on a CPU", lambda: peak_memory_bytes(device))
