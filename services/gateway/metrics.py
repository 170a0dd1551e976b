"""What the gateway counts, for Prometheus. One registry a gateway; watching a request changes nothing about it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bagel.errors import BagelError
from bagel.logs import bound_logger
from bagel.tracing import annotate, here, record
from services.gateway.admission import Line
from services.gateway.errors import ApiError, from_bagel
from services.gateway.happenings import Admitted, Happening, ImageResult, TextResult, TriedAgain
from services.gateway.stages import Stages
from services.gateway.tasks import Task

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class GatewayMetrics:
    """Requests by task and outcome; seconds of their parts; pages moved; the stages."""

    def __init__(self, stages: Stages, lines: Mapping[str, Line]) -> None:
        self._stages, self._lines = stages, lines
        self.registry = at = CollectorRegistry()
        self._requests = Counter(
            "bagel_requests_total", "Requests by task and outcome", ("task", "outcome"), registry=at
        )
        self._tries = Counter("bagel_tries_again_total", "Requests taken from a lost stage", ("stage",), registry=at)
        self._running = Gauge("bagel_running_requests", "Requests on their way", ("task",), registry=at)
        self._waiting = Gauge("bagel_waiting_requests", "Requests in a line, by kind", ("kind",), registry=at)
        self._request_s = Histogram("bagel_request_seconds", "Whole requests", ("task",), buckets=SECONDS, registry=at)
        self._part_s = Histogram("bagel_part_seconds", "Parts of requests", ("part",), buckets=SECONDS, registry=at)
        self._moved = Counter("bagel_kv_moved_bytes_total", "Bytes of KV pages that moved", ("transport",), registry=at)
        self._unique = Counter("bagel_kv_unique_bytes_total", "Bytes of KV pages read", ("transport",), registry=at)
        self._overlap = Histogram(
            "bagel_kv_overlap_ratio",
            "Part of the bytes moved before the seal",
            ("transport",),
            buckets=RATIOS,
            registry=at,
        )
        self._steps = Counter("bagel_denoise_steps_total", "Denoising steps", registry=at)
        self._ready = Gauge("bagel_stage_ready", "1 when a stage takes requests", ("stage", "address"), registry=at)
        self._free = Gauge("bagel_stage_free_pages", "KV pages nobody holds", ("stage", "address"), registry=at)
        self._queued = Gauge("bagel_stage_queued_requests", "Requests that wait", ("stage", "address"), registry=at)

    async def watched(self, task: Task, happening: AsyncGenerator[Happening, None]) -> AsyncGenerator[Happening, None]:
        """What happens, counted on its way."""
        started, outcome, log = time.monotonic(), "internal_error", bound_logger()
        annotate(task=task.name)
        running = self._running.labels(task.name)
        running.inc()
        try:
            async with aclosing(happening):
                async for what in happening:
                    self._count(what)
                    yield what
            outcome = "ok"
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "cancelled"
            raise
        except ApiError as error:
            outcome = error.code or str(error.status)
            raise
        except BagelError as error:
            outcome = from_bagel(error).code or "error"
            raise
        finally:
            running.dec()
            self._requests.labels(task.name, outcome).inc()
            seconds = time.monotonic() - started
            self._request_s.labels(task.name).observe(seconds)
            annotate(outcome=outcome)
            log.info("request_over", task=task.name, outcome=outcome, seconds=round(seconds, 3))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        for gauge in (self._ready, self._free, self._queued):
            gauge.clear()  # of stages that are known no more
        for stage in (*self._stages.thinkers, *self._stages.dits):
            self._ready.labels(stage.kind, stage.address).set(stage.ready)
            if stage.status is not None:
                self._free.labels(stage.kind, stage.address).set(stage.status.free_pages)
                self._queued.labels(stage.kind, stage.address).set(stage.status.queued)
        for kind, line in self._lines.items():
            self._waiting.labels(kind).set(line.waiting)
        return generate_latest(self.registry)

    def _count(self, what: Happening) -> None:
        if isinstance(what, Admitted):
            self._parts(queue=what.queue_s)
            now = time.monotonic()
            record(here(), "queue", now - what.queue_s, now)
        if isinstance(what, TriedAgain):
            self._tries.labels(what.stage).inc()
        if isinstance(what, TextResult):
            self._parts(thinker_queue=what.work.queue_s, first_token=what.work.first_token_s, decode=what.work.decode_s)
        if isinstance(what, ImageResult):
            fetched, dit = what.fetched, what.dit
            self._parts(
                thinker_queue=what.thinker.queue_s, prefill=what.thinker.prefill_s, transfer=fetched.transfer_s,
                transfer_wait=fetched.wait_s, dit_queue=dit.queue_s, denoise=dit.denoise_s, vae_decode=dit.decode_s,
                encode=dit.encode_s,
            )  # fmt: skip
            self._moved.labels(fetched.transport).inc(fetched.bytes)
            self._unique.labels(fetched.transport).inc(fetched.unique_bytes)
            if fetched.bytes:
                self._overlap.labels(fetched.transport).observe(fetched.overlap)
            self._steps.inc(dit.steps)

    def _parts(self, **seconds: float) -> None:
        for part, value in seconds.items():
            self._part_s.labels(part).observe(value)
