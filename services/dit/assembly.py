"""The DiT's parts in a process, put together: what `services.dit` runs alone, and others beside more.

Builds the servicer at once and the engine when there is a model. Owns no data planes: whoever opened them closes them.
"""

from dataclasses import dataclass

import grpc
import torch
from grpc import StatusCode

from bagel.errors import BagelError, ConfigError
from bagel.kv_layout import KvLayout
from bagel.members import Kind, Load
from bagel.model.attention import sdpa_attention
from bagel.model.device import device_name, finish_work, peak_memory_bytes
from bagel.model.memory import context_tokens, pool_pages
from bagel.model.noise import NoiseSource
from bagel.model.opening import OpenedModel
from bagel.model.stages import DitModel
from bagel.stage import StageHost
from bagel.stage_flags import StageConfig
from bagel.tasks import TaskKind, read_tasks
from bagel.v1 import dit_pb2_grpc
from services.dit.denoiser import Denoiser
from services.dit.engine import DitEngine, Observe
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
from transport.planes import Planes

STAGE_ID, KIND = 1, Kind.DIT
SERVICES = ("bagel.v1.Dit",)
STATUSES: dict[type[BagelError], StatusCode] = {
    PeerLostError: StatusCode.ABORTED,
    TransferRefusedError: StatusCode.ABORTED,
    TransferTimeoutError: StatusCode.DEADLINE_EXCEEDED,
    TransferCorruptError: StatusCode.DATA_LOSS,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """How contexts come: over which planes, and how many bytes may come with their announcement."""

    planes: Planes
    inline_bytes: int


class DitAssembly:
    """One DiT. `noise` is what pictures begin with; `observe` sees what the engine computes."""

    def __init__(self, host: StageHost, reading: Reading, noise: NoiseSource, observe: Observe) -> None:
        self._host, self._reading, self._noise, self._observe = host, reading, noise, observe
        self._tasks, self._metrics = drawing_tasks(host.config), DitMetrics(host.registry)
        self._servicer = DitServicer(host.monitor, self._metrics)

    def add_services(self, server: grpc.aio.Server) -> None:
        """Serve `SERVICES`; what needs the model is refused until `start`."""
        dit_pb2_grpc.add_DitServicer_to_server(self._servicer, server)

    def start(self, opened: OpenedModel, model: DitModel, *, shown_tokens: int | None = None) -> None:
        """Memory for pages and engine for a model that is loaded. On the device thread. Raises ConfigError.

        `shown_tokens` is the size of a pool in this process whose pages are looked at; there is one beside a Thinker.
        """
        layout, flags = opened.layout, self._host.config
        if shown_tokens is None:
            num_pages = pool_pages(flags, layout, opened.device)
            shown_tokens = num_pages * layout.page_tokens
        else:
            num_pages = self.pages_beside(layout)
        self._servicer.loaded = loaded = Loaded(
            config=opened.config,
            engine=self._engine(opened, model, num_pages),
            tasks=self._tasks,
            max_context_tokens=context_tokens(flags, pool_tokens=shown_tokens),
            model_name=opened.name,
            model_hash=opened.hash,
            device_name=device_name(opened.device),
        )
        self._add_gauges(loaded.engine)

    def pages_beside(self, layout: KvLayout) -> int:
        """Places for pages that a DiT beside a Thinker needs: only those of other processes come here, if any do."""
        lands = any(not plane.capabilities.zero_copy for plane in self._reading.planes.all)
        return layout.pages_for(self._host.config.kv_pool_tokens) if lands else 1

    async def run(self) -> None:
        """Work until cancelled. After `start`."""
        assert self._servicer.loaded is not None
        await self._servicer.loaded.engine.run()

    @property
    def busy(self) -> int:
        """Requests that run or wait."""
        return self._servicer.loaded.engine.busy if self._servicer.loaded else 0

    def load(self) -> Load:
        """How busy it is, for a master."""
        if self._servicer.loaded is None:
            return Load()
        engine = self._servicer.loaded.engine
        running, queued = engine.scheduler.running, engine.scheduler.queued
        return Load(running=running, queued=queued, free_pages=engine.fetcher.landing.places.free_places)

    def _engine(self, opened: OpenedModel, model: DitModel, num_pages: int) -> DitEngine:
        flags, layout, reading = self._host.config, opened.layout, self._reading
        landing = Region(torch.zeros(num_pages * layout.page_bytes, dtype=torch.uint8, device=opened.device))
        finish_work(opened.device)  # other threads write to it from now on
        reading.planes.prepare(landing)
        denoiser = Denoiser(model, layout, sdpa_attention, opened.device, most_tokens=flags.max_model_len)
        memory = LandingMemory(landing, layout.page_bytes)
        fetcher = Fetcher(reading.planes, layout, memory, inline_bytes=reading.inline_bytes)
        scheduler = Scheduler(max_queue=flags.max_queue, max_num_seqs=flags.max_num_seqs)
        device, metrics = self._host.device, self._metrics
        return DitEngine(denoiser, fetcher, scheduler, self._noise, device, metrics, self._observe)

    def _add_gauges(self, engine: DitEngine) -> None:
        places, scheduler, device = engine.fetcher.landing.places, engine.scheduler, engine.denoiser.device
        add = self._metrics.gauge
        add("running_requests", "Requests being denoised", lambda: scheduler.running)
        add("waiting_requests", "Requests before it, with their contexts or without", lambda: scheduler.queued)
        add("free_pages", "Places for KV pages that are free", lambda: places.free_places)
        add("used_pages", "Places for KV pages that are set aside", lambda: places.num_places - places.free_places)
        add("peak_memory_bytes", "Most device memory held, 0 on a CPU", lambda: peak_memory_bytes(device))


def drawing_tasks(config: StageConfig) -> tuple[TaskKind, ...]:
    """Those of a stage's tasks that end in a picture. Raises ConfigError when none does."""
    tasks = tuple(task for task in read_tasks(config.tasks) if task.draws)
    if not tasks:
        raise ConfigError(f"--tasks {config.tasks}: none ends in a picture, so no DiT is needed; start a Thinker alone")
    return tasks
