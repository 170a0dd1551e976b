"""The DiT's RPCs: messages in, engine calls, messages out."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bagel import __version__, limits, wire
from bagel.config import ModelConfig
from bagel.logs import get_logger
from bagel.model.device import peak_memory_bytes
from bagel.rpc import ServicerContext, remaining_s, try_id
from bagel.settings import check_seed
from bagel.stage import StageMonitor
from bagel.tasks import TaskKind, task_names
from bagel.v1 import dit_pb2, dit_pb2_grpc, settings_pb2
from services.dit.engine import DitEngine, Event, FinishedPicture, PictureRequest, PreviewPicture, StepReport, Ticket
from services.dit.fetcher import FetchedContext
from services.dit.metrics import DitMetrics
from services.dit.previews import DEFAULT_SIDE_PX, PreviewSettings

DEFAULT_QUALITY = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What exists once the model is loaded."""

    config: ModelConfig
    engine: DitEngine
    tasks: tuple[TaskKind, ...]
    max_context_tokens: int
    model_name: str
    model_hash: str
    device_name: str


class DitServicer(dit_pb2_grpc.DitServicer):
    """Serves `bagel.v1.Dit`. Refuses work until `loaded` is set."""

    def __init__(self, monitor: StageMonitor, metrics: DitMetrics) -> None:
        self._monitor, self._metrics = monitor, metrics
        self.loaded: Loaded | None = None

    async def GetStatus(self, request: settings_pb2.GetStatusRequest, context: object) -> settings_pb2.StageStatus:
        status = self._monitor.status()
        if self.loaded is not None and status.state == settings_pb2.STAGE_STATE_READY:
            _fill_status(status, self.loaded)
        return status

    async def Generate(
        self, request: dit_pb2.GenerateRequest, context: ServicerContext
    ) -> AsyncIterator[dit_pb2.GenerateEvent]:
        deadline_s = time.monotonic() + remaining_s(context)
        with self._metrics.requests.counted("picture", deadline_s) as ending:
            self._monitor.require_ready()
            assert self.loaded is not None
            engine = self.loaded.engine
            wanted = _request(request, deadline_s)
            ticket = engine.submit(wanted)
            try:
                yield dit_pb2.GenerateEvent(queued=dit_pb2.DitQueued(position=ticket.position))
                finished = 0
                while finished < wanted.count:
                    event = await ticket.next()
                    finished += isinstance(event, FinishedPicture)
                    yield _message(event, wanted.fmt)
                totals = ticket.totals
                get_logger().info(
                    "pictures_done", pictures=finished, forwards=totals.forwards, denoise_s=round(totals.denoise_s, 3)
                )
                ending.answered = True
                yield dit_pb2.GenerateEvent(done=_done(ticket))
            finally:
                engine.close(ticket)


def _request(request: dit_pb2.GenerateRequest, deadline_s: float) -> PictureRequest:
    count, quality = request.n or 1, request.output.quality or DEFAULT_QUALITY
    limits.PICTURES_MADE.check("n", count)
    limits.QUALITY.check("output.quality", quality)
    limits.PREVIEWS.check("previews.count", request.previews.count)
    check_seed(request.seed + count - 1)
    return PictureRequest(
        request_id=try_id(request.request),
        handle=request.handle,
        sampler=wire.sampler_from_proto(request.sampler),
        seed=request.seed,
        count=count,
        fmt=wire.format_from_proto(request.output.format),
        quality=quality,
        deadline_s=deadline_s,
        previews=PreviewSettings(request.previews.count, request.previews.max_side_px or DEFAULT_SIDE_PX),
    )


def _message(event: Event, fmt: str) -> dit_pb2.GenerateEvent:
    match event:
        case FetchedContext(report=report):
            return dit_pb2.GenerateEvent(
                fetched=dit_pb2.Fetched(
                    bytes=report.moved_bytes,
                    pages=report.pages,
                    transfer_s=report.seconds,
                    transport=report.transport,
                    unique_bytes=report.unique_bytes,
                    wait_s=report.wait_s,
                    overlap=report.overlap,
                )
            )
        case StepReport():
            step = dit_pb2.StepDone(picture=event.picture, done=event.done, total=event.total, t=event.t)
            return dit_pb2.GenerateEvent(step=step)
        case PreviewPicture():
            preview = dit_pb2.Preview(
                picture=event.picture,
                step=event.step,
                data=event.data,
                format=wire.format_to_proto(fmt),
                size=settings_pb2.ImageSize(height=event.size[0], width=event.size[1]),
            )
            return dit_pb2.GenerateEvent(preview=preview)
        case FinishedPicture():
            picture = dit_pb2.Picture(
                index=event.index,
                data=event.data,
                format=wire.format_to_proto(fmt),
                size=settings_pb2.ImageSize(height=event.size[0], width=event.size[1]),
                seed=event.seed,
            )
            return dit_pb2.GenerateEvent(picture=picture)


def _done(ticket: Ticket) -> dit_pb2.DitDone:
    totals = ticket.totals
    return dit_pb2.DitDone(
        forwards=totals.forwards,
        steps=totals.steps,
        queue_s=totals.queue_s,
        load_s=totals.load_s,
        denoise_s=totals.denoise_s,
        decode_s=totals.decode_s,
        encode_s=totals.encode_s,
        preview_s=totals.preview_s,
    )


def _fill_status(status: settings_pb2.StageStatus, loaded: Loaded) -> None:
    engine = loaded.engine
    layout, places = engine.denoiser.layout, engine.fetcher.landing.places
    status.model.CopyFrom(
        settings_pb2.ModelInfo(
            name=loaded.model_name,
            model_hash=loaded.model_hash,
            token_pixels=loaded.config.token_pixels,
            max_side_px=loaded.config.max_image_side,
            default_side_px=loaded.config.default_image_side,
            max_context_tokens=loaded.max_context_tokens,
            text2img_guidance=wire.guidance_to_proto(loaded.config.text2img_guidance),
            img2img_guidance=wire.guidance_to_proto(loaded.config.img2img_guidance),
            dtype=layout.dtype,
            device=loaded.device_name,
            server_version=__version__,
            tasks=task_names(loaded.tasks),
        )
    )
    status.total_pages, status.free_pages = places.num_places, places.free_places
    status.running, status.queued = engine.scheduler.running, engine.scheduler.queued
    status.peak_memory_bytes = peak_memory_bytes(engine.denoiser.device)
