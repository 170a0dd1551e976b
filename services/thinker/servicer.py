"""The Thinker's RPCs: messages in, engine calls, messages out. The only file here that knows protos."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from bagel import __version__, limits, wire
from bagel.config import ModelConfig
from bagel.contexts import Output
from bagel.errors import DeadlineError, RequestError
from bagel.images import open_checked, to_rgb
from bagel.kv_layout import KvLayout
from bagel.logs import get_logger
from bagel.model.device import peak_memory_bytes
from bagel.rpc import ServicerContext, remaining_s, try_id
from bagel.stage import StageMonitor
from bagel.tasks import TaskKind, task_names
from bagel.tokens import Tokenizer
from bagel.v1 import kv_pb2, settings_pb2, thinker_pb2, thinker_pb2_grpc
from services.thinker.accepting import check_length, check_task
from services.thinker.engine import ThinkerEngine, Ticket
from services.thinker.execution import Piece
from services.thinker.leases import Announcement, Lease, LeaseBook, Seal
from services.thinker.metrics import ThinkerMetrics
from services.thinker.prepare import ContextRequest, ImageSegment, PreparedRequest, TextSegment, model_limits, prepare
from transport.holder import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What exists once the model is loaded."""

    config: ModelConfig
    tokenizer: Tokenizer
    layout: KvLayout
    engine: ThinkerEngine
    holder: Holder
    tasks: tuple[TaskKind, ...]
    max_context_tokens: int
    model_name: str
    model_hash: str
    device_name: str


class ThinkerServicer(thinker_pb2_grpc.ThinkerServicer):
    """Serves `bagel.v1.Thinker`. Refuses work until `loaded` is set."""

    def __init__(self, monitor: StageMonitor, leases: LeaseBook, metrics: ThinkerMetrics) -> None:
        self._monitor, self._leases, self._metrics = monitor, leases, metrics
        self.loaded: Loaded | None = None
        self.busy = 0  # requests from when they are accepted to their end: a drain waits for all of them

    async def GetStatus(self, request: settings_pb2.GetStatusRequest, context: object) -> settings_pb2.StageStatus:
        status = self._monitor.status()
        if self.loaded is not None and status.state == settings_pb2.STAGE_STATE_READY:
            self._fill_status(status, self.loaded)
        return status

    async def GenerateText(
        self, request: thinker_pb2.GenerateTextRequest, context: ServicerContext
    ) -> AsyncIterator[thinker_pb2.GenerateTextEvent]:
        deadline_s = time.monotonic() + remaining_s(context)
        with self._metrics.requests.counted("text", deadline_s) as ending, self._accepted() as loaded:
            prepared = await asyncio.to_thread(self._prepare_text, request, loaded)
            ticket = loaded.engine.submit(prepared, deadline_s=deadline_s)
            try:
                yield thinker_pb2.GenerateTextEvent(queued=thinker_pb2.Queued(position=ticket.position))
                reason = None
                while reason is None:
                    piece = await ticket.next()
                    assert isinstance(piece, Piece)
                    reason = piece.finish_reason
                    if piece.text:
                        yield thinker_pb2.GenerateTextEvent(delta=thinker_pb2.TextDelta(text=piece.text))
                done = thinker_pb2.TextDone(
                    text=ticket.execution.text, finish_reason=wire.reason_to_proto(reason), work=_work(ticket)
                )
                get_logger().info("text_done", **_log_fields(ticket))
                ending.answered = True
                yield thinker_pb2.GenerateTextEvent(done=done)
            finally:
                await loaded.engine.close(ticket)

    async def PrepareContext(
        self, request: thinker_pb2.PrepareContextRequest, context: ServicerContext
    ) -> AsyncIterator[thinker_pb2.PrepareContextEvent]:
        deadline_s = time.monotonic() + remaining_s(context)
        with self._metrics.requests.counted("context", deadline_s) as ending, self._accepted() as loaded:
            prepared = await asyncio.to_thread(self._prepare_context, request, loaded)
            async with self._leased(prepared, request.request.attempt, loaded, deadline_s) as (lease, ticket):
                yield thinker_pb2.PrepareContextEvent(queued=thinker_pb2.Queued(position=ticket.position))
                reason, handed = None, False
                while not isinstance(event := await ticket.next(), tuple):
                    if isinstance(event, Announcement):
                        await lease.announce(event)
                        if not handed:
                            handed = True
                            yield self._handle(request.request, lease, ticket, loaded)
                        continue
                    reason = event.finish_reason
                    if event.text:
                        yield thinker_pb2.PrepareContextEvent(delta=thinker_pb2.TextDelta(text=event.text))
                rest, seal = event
                await lease.announce(rest)
                await lease.announce(seal)
                if not handed:
                    yield self._handle(request.request, lease, ticket, loaded)
                get_logger().info("context_ready", pages=seal.unique_pages, **_log_fields(ticket))
                ending.answered = True
                yield thinker_pb2.PrepareContextEvent(prepared=_prepared_message(ticket, seal, reason, loaded.layout))
                # The open call is the lease: it ends when the caller cancels it or its deadline passes.
                await asyncio.sleep(max(0.0, deadline_s - time.monotonic()))
                raise DeadlineError(f"the lease of {lease.handle_id} reached its deadline")

    @asynccontextmanager
    async def _leased(
        self, prepared: PreparedRequest, attempt: int, loaded: Loaded, deadline_s: float
    ) -> AsyncIterator[tuple[Lease, Ticket]]:
        """A lease and the ticket that fills it; both end together, readers first."""
        lease = self._leases.open(prepared.request.request_id, attempt)
        try:
            ticket = loaded.engine.submit(prepared, deadline_s=deadline_s, handle_id=lease.handle_id)
            try:
                yield lease, ticket
            finally:
                await self._leases.end(lease)
                await loaded.engine.close(ticket)
        finally:
            await self._leases.end(lease)

    def require_loaded(self) -> Loaded:
        """What is loaded. Raises NotReadyError; a draining stage still serves reads."""
        if self.loaded is None:
            self._monitor.require_ready()
        assert self.loaded is not None
        return self.loaded

    @contextmanager
    def _accepted(self) -> Iterator[Loaded]:
        """What is loaded, for the time of a request, which counts as busy. Raises NotReadyError."""
        self._monitor.require_ready()
        assert self.loaded is not None
        self.busy += 1
        try:
            yield self.loaded
        finally:
            self.busy -= 1

    def _prepare_text(self, request: thinker_pb2.GenerateTextRequest, loaded: Loaded) -> PreparedRequest:
        wanted = ContextRequest(
            request_id=try_id(request.request),
            segments=_segments(request.segments),
            output=Output.TEXT,
            think=request.think,
            decode=wire.decode_from_proto(request.decode),
        )
        return _prepared(wanted, loaded)

    def _prepare_context(self, request: thinker_pb2.PrepareContextRequest, loaded: Loaded) -> PreparedRequest:
        if request.think and not request.HasField("decode"):
            raise RequestError("a request that thinks needs decode settings", param="decode")
        limits.NEGATIVE_PROMPT_CHARACTERS.check("negative_prompt", len(request.negative_prompt))
        wanted = ContextRequest(
            request_id=try_id(request.request),
            segments=_segments(request.segments),
            output=Output.IMAGE,
            think=request.think,
            negative_prompt=request.negative_prompt if request.HasField("negative_prompt") else None,
            roles=wire.roles_from_proto(request.roles, "roles"),
            decode=wire.decode_from_proto(request.decode) if request.think else None,
            size=(request.size.height, request.size.width) if request.HasField("size") else None,
        )
        return _prepared(wanted, loaded)

    def _handle(
        self, request: kv_pb2.RequestId, lease: Lease, ticket: Ticket, loaded: Loaded
    ) -> thinker_pb2.PrepareContextEvent:
        handle = kv_pb2.KvHandle(
            handle_id=lease.handle_id,
            request=request,
            epoch=self._monitor.epoch,
            control_address=self._monitor.address,
            data_endpoints=[
                kv_pb2.DataEndpoint(transport=e.transport, address=e.address, secure=e.secure)
                for e in loaded.holder.endpoints
            ],
            layout=wire.layout_to_proto(loaded.layout),
            read_token=lease.read_token,
            max_pages=loaded.engine.most_pages(ticket),
        )
        return thinker_pb2.PrepareContextEvent(handle=handle)

    def _fill_status(self, status: settings_pb2.StageStatus, loaded: Loaded) -> None:
        pages, scheduler = loaded.engine.runner.pages, loaded.engine.scheduler
        of_model = model_limits(loaded.config, context_tokens=loaded.max_context_tokens)
        status.model.CopyFrom(
            settings_pb2.ModelInfo(
                name=loaded.model_name,
                model_hash=loaded.model_hash,
                token_pixels=of_model.token_pixels,
                max_side_px=of_model.max_side_px,
                default_side_px=of_model.default_side_px,
                max_context_tokens=of_model.max_context_tokens,
                text2img_guidance=wire.guidance_to_proto(of_model.text2img_guidance),
                img2img_guidance=wire.guidance_to_proto(of_model.img2img_guidance),
                dtype=loaded.layout.dtype,
                device=loaded.device_name,
                server_version=__version__,
                tasks=task_names(loaded.tasks),
            )
        )
        status.total_pages, status.free_pages = pages.num_pages, pages.free_pages
        status.running, status.queued = scheduler.running, scheduler.queued
        status.leases, status.grants = len(self._leases), self._leases.grants
        status.peak_memory_bytes = peak_memory_bytes(loaded.engine.runner.marker_ids.device)


def _prepared(wanted: ContextRequest, loaded: Loaded) -> PreparedRequest:
    """Planned and sized. Blocking. Raises RequestError for what this Thinker does not take."""
    pictures = any(isinstance(segment, ImageSegment) for segment in wanted.segments)
    check_task(wanted.output, loaded.tasks, pictures=pictures)
    prepared = prepare(wanted, loaded.tokenizer, loaded.config)
    check_length(prepared.job(loaded.config, deadline_s=0.0), prepared.plan, loaded.max_context_tokens)
    return prepared


def _segments(messages: Iterable[settings_pb2.Segment]) -> list[TextSegment | ImageSegment]:
    segments: list[TextSegment | ImageSegment] = []
    images = pixels = 0
    for index, part in enumerate(messages):
        match part.WhichOneof("part"):
            case "text":
                segments.append(TextSegment(part.text.text, raw=part.text.raw))
            case "image":
                images += 1
                if images > limits.PICTURES_SENT.most:
                    message = f"more than {limits.PICTURES_SENT.most} pictures in one request"
                    raise RequestError(message, param="segments")
                image = open_checked(part.image.data, param=f"segments[{index}].image")
                pixels += image.width * image.height
                if pixels > limits.REQUEST_PIXELS.most:
                    message = f"the pictures have over {limits.REQUEST_PIXELS.most} pixels together"
                    raise RequestError(message, param=f"segments[{index}].image")
                segments.append(ImageSegment(to_rgb(image)))
            case _:
                raise RequestError(f"segments[{index}] is neither a text nor a picture", param=f"segments[{index}]")
    return segments


def _prepared_message(ticket: Ticket, seal: Seal, reason: str | None, layout: KvLayout) -> thinker_pb2.Prepared:
    return thinker_pb2.Prepared(
        thought=ticket.execution.text,
        finish_reason=wire.reason_to_proto(reason),
        size=settings_pb2.ImageSize(height=seal.size[0], width=seal.size[1]),
        unique_pages=seal.unique_pages,
        unique_bytes=seal.unique_pages * layout.page_bytes,
        work=_work(ticket),
    )


def _work(ticket: Ticket) -> thinker_pb2.ThinkerWork:
    counters, timings, prepared = ticket.execution.counters, ticket.timings, ticket.execution.prepared
    return thinker_pb2.ThinkerWork(
        prompt_tokens=ticket.execution.prompt_tokens,
        completion_tokens=ticket.execution.visible_tokens,
        vit_passes=counters.vit_passes,
        vae_passes=counters.vae_passes,
        blocks=counters.blocks,
        prefill_tokens=counters.prefill_tokens,
        decode_steps=counters.decode_steps,
        page_copies=counters.page_copies,
        queue_s=timings.queue_s,
        prefill_s=timings.prefill_s,
        decode_s=timings.decode_s,
        first_token_s=timings.first_token_s,
        planned_blocks=len(prepared.plan.nodes),
    )


def _log_fields(ticket: Ticket) -> dict[str, float]:
    timings = ticket.timings
    return {
        "queue_s": round(timings.queue_s, 3),
        "prefill_s": round(timings.prefill_s, 3),
        "decode_s": round(timings.decode_s, 3),
        "tokens": ticket.execution.visible_tokens,
    }
