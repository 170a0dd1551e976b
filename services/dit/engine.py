"""Drives requests through fetcher, scheduler and device thread. Event loop only, except what is handed to the thread.

Contexts are fetched in the background while others are denoised. Between two pieces of work every request may be
cancelled; a fetch is cancelled at once.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from PIL import Image
from torch import Tensor

from bagel.device_thread import DeviceThread
from bagel.errors import DeadlineError
from bagel.images import encode
from bagel.model.device import explained, finish_work
from bagel.model.flow import Step
from bagel.model.kv import pool_view
from bagel.model.noise import NoiseSource
from bagel.model.observe import observe_nothing
from bagel.settings import SamplerSettings
from bagel.tracing import here, record, span
from bagel.v1 import kv_pb2
from bagel.waiting import finish, settle, sleep_until
from services.dit.denoiser import Canvas, Denoiser
from services.dit.fetcher import FetchedContext, Fetcher
from services.dit.metrics import DitMetrics
from services.dit.previews import PreviewSettings, estimate, shrink
from services.dit.scheduler import Job, Phase, Scheduler, Work

if TYPE_CHECKING:
    from bagel.otel import Spot

Observe = Callable[[str, str, Tensor], None]  # request id, name, tensor


def observe_no_request(request_id: str, name: str, value: Tensor) -> None:
    """The default observer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """One request to the DiT."""

    request_id: str
    handle: kv_pb2.KvHandle
    sampler: SamplerSettings
    seed: int
    count: int
    fmt: str
    quality: int
    deadline_s: float
    previews: PreviewSettings

    def job(self) -> Job:
        """What the scheduler must know."""
        return Job(
            request_id=self.request_id,
            steps=self.sampler.num_timesteps - 1,
            pictures=self.count,
            deadline_s=self.deadline_s,
        )


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step is over."""

    picture: int
    done: int
    total: int
    t: float


@dataclass(frozen=True, slots=True)
class PreviewPicture:
    """A picture on the way, encoded, after so many steps."""

    picture: int
    step: int
    data: bytes
    size: tuple[int, int]  # height, width


@dataclass(frozen=True, slots=True)
class FinishedPicture:
    """A picture, encoded."""

    index: int
    data: bytes
    size: tuple[int, int]  # height, width
    seed: int


@dataclass(slots=True)
class Totals:
    """What a request cost, in seconds and forwards."""

    submitted_s: float
    queue_s: float = 0.0
    load_s: float = 0.0
    denoise_s: float = 0.0
    decode_s: float = 0.0
    encode_s: float = 0.0
    preview_s: float = 0.0
    forwards: int = 0
    steps: int = 0


T = TypeVar("T")
Event = FetchedContext | StepReport | PreviewPicture | FinishedPicture


@dataclass(slots=True)
class Ticket:
    """A request inside the engine, as its caller sees it."""

    request: PictureRequest
    position: int
    totals: Totals
    events: asyncio.Queue[Event | BaseException] = field(default_factory=asyncio.Queue)
    fetching: asyncio.Task[None] | None = None
    fetched: FetchedContext | None = None
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    canvas: Canvas | None = None
    steps: Iterator[tuple[Step, Tensor]] | None = None
    state: Tensor | None = None
    trace: "Spot | None" = None  # the span of its RPC
    denoising_since_s: float | None = None  # the picture under way

    async def next(self) -> Event:
        """The next event; raises what ended the request."""
        event = await self.events.get()
        if isinstance(event, BaseException):
            raise event
        return event


class DitEngine:
    """The DiT's loop."""

    def __init__(
        self,
        denoiser: Denoiser,
        fetcher: Fetcher,
        scheduler: Scheduler,
        noise: NoiseSource,
        device: DeviceThread,
        metrics: DitMetrics,
        observe: Observe = observe_no_request,
    ) -> None:
        self.denoiser, self.fetcher, self.scheduler = denoiser, fetcher, scheduler
        self._noise, self._device, self._observe, self._metrics = noise, device, observe, metrics
        self._tickets: dict[str, Ticket] = {}
        self._wake = asyncio.Event()

    @property
    def busy(self) -> int:
        """Requests that run or wait."""
        return len(self._tickets)

    def submit(self, request: PictureRequest) -> Ticket:
        """Accept a request. Raises RequestError."""
        position = self.scheduler.submit(request.job())
        ticket = Ticket(request, position, Totals(time.monotonic()), trace=here())
        self._tickets[request.request_id] = ticket
        ticket.fetching = asyncio.create_task(self._bring(ticket))
        ticket.fetching.add_done_callback(partial(self._fetch_over, ticket))
        self._wake.set()
        return ticket

    def close(self, ticket: Ticket) -> None:
        """End a request wherever it is. A running piece of work ends first, a fetch is cut off."""
        request_id = ticket.request.request_id
        if self._tickets.get(request_id) is ticket:
            self.scheduler.remove(request_id)
            del self._tickets[request_id]
        if ticket.fetching is not None:
            ticket.fetching.cancel()
        self._denoised(ticket)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._wake.clear()
                decision = self.scheduler.schedule(time.monotonic())
                for request_id in decision.expired:
                    self._fail(self._tickets[request_id], DeadlineError("the deadline passed in the DiT"))
                for work, ticket in [(work, self._tickets[work.request_id]) for work in decision.work]:
                    # It may have ended while another request of this step was on the device.
                    if self._tickets.get(work.request_id) is ticket:
                        await self._execute(work, ticket)
                if not decision.work:
                    await sleep_until(self._wake, self.scheduler.next_deadline_s())
        finally:
            fetching = [ticket.fetching for ticket in self._tickets.values() if ticket.fetching is not None]
            for task in fetching:
                task.cancel()
            await asyncio.gather(*fetching, return_exceptions=True)

    async def _bring(self, ticket: Ticket) -> None:
        """Fetch a request's context and keep it readable until it is loaded."""
        request = ticket.request
        async with AsyncExitStack() as stack:
            with span("transfer") as spot:
                fetching = self.fetcher.fetched(request.handle, deadline_s=request.deadline_s)
                ticket.fetched = fetched = await stack.enter_async_context(fetching)
                report = fetched.report
                if spot is not None:
                    spot.annotate({"transport": report.transport, "bytes": report.moved_bytes, "pages": report.pages})
            self._metrics.transferred(report)
            self.scheduler.fetched(request.request_id)
            self._wake.set()
            await ticket.loaded.wait()

    def _fetch_over(self, ticket: Ticket, fetching: "asyncio.Task[None]") -> None:
        """Whatever ended the fetch is what its caller hears."""
        error = None if fetching.cancelled() else fetching.exception()
        if error is not None:
            self._fail(ticket, error)

    def _fail(self, ticket: Ticket, error: BaseException) -> None:
        """End a request that is still here with an error."""
        if self._tickets.get(ticket.request.request_id) is ticket:
            self.scheduler.remove(ticket.request.request_id)
            ticket.events.put_nowait(error)
            if ticket.fetching is not None:
                ticket.fetching.cancel()
            self._wake.set()

    async def _execute(self, work: Work, ticket: Ticket) -> None:
        task = asyncio.create_task(self._piece(work, ticket))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            # The engine stops: a piece on the device is waited for.
            task.cancel()
            await settle(task)
            raise
        error = await settle(task)
        if self._tickets.get(work.request_id) is not ticket:
            return  # closed meanwhile; its id may name another request by now
        if error is not None:
            self._fail(ticket, explained(error))
        self.scheduler.done(work)

    async def _piece(self, work: Work, ticket: Ticket) -> None:
        match work.phase:
            case Phase.LOAD:
                await self._load(ticket)
            case Phase.STEP:
                report, preview = await self._on_device(self._step, ticket, work)
                ticket.events.put_nowait(report)
                if preview is not None:
                    ticket.events.put_nowait(await self._encode_preview(ticket, report, preview))
            case Phase.DECODE:
                self._denoised(ticket)
                image = await self._on_device(self._decode, ticket)
                if self._tickets.get(work.request_id) is not ticket:
                    return  # nobody waits for the file
                ticket.events.put_nowait(await self._encode(ticket, work.picture, image))

    async def _load(self, ticket: Ticket) -> None:
        fetched, request = ticket.fetched, ticket.request
        assert fetched is not None
        started, totals = time.monotonic(), ticket.totals
        totals.queue_s = started - totals.submitted_s
        self._metrics.queue_s.observe(totals.queue_s)
        record(ticket.trace, "queue", totals.submitted_s, started)
        try:
            ticket.canvas = await self._on_device(self._read, fetched, self._observer(request.request_id))
        finally:
            # The pages were read, or never will be: their memory and the grant go back.
            ticket.loaded.set()
        ended = time.monotonic()
        totals.load_s = ended - started
        self._metrics.load_s.observe(totals.load_s)
        record(ticket.trace, "load", started, ended)
        ticket.canvas.check_roles(request.sampler)
        ticket.events.put_nowait(fetched)

    def _read(self, fetched: FetchedContext, observe: Callable[[str, Tensor], None]) -> Canvas:
        pool = pool_view(fetched.memory, fetched.kv)
        canvas = self.denoiser.load(fetched.contexts, pool, fetched.size, observe)
        finish_work(self.denoiser.device)  # the pages are read now, and may go
        fetched.check()
        return canvas

    def _step(self, ticket: Ticket, work: Work) -> tuple[StepReport, Image.Image | None]:
        started = time.monotonic()
        request, canvas = ticket.request, ticket.canvas
        assert canvas is not None
        if work.step == 0:
            ticket.denoising_since_s = started
            noise = self._noise.start(request.request_id, request.seed + work.picture, canvas.noise_shape)
            ticket.steps = canvas.steps(noise, request.sampler, self._observer(request.request_id))
        assert ticket.steps is not None
        step, ticket.state = next(ticket.steps)
        self._observe(request.request_id, "steps.v", step.velocity)
        finish_work(ticket.state.device)  # a cancelled request stops within a step, and times are true
        seconds, totals = time.monotonic() - started, ticket.totals
        self._metrics.step_s.observe(seconds)
        self._metrics.forwards.inc(canvas.forwards - totals.forwards)
        totals.denoise_s += seconds
        totals.steps, totals.forwards = totals.steps + 1, canvas.forwards
        report = StepReport(work.picture, work.step + 1, request.sampler.num_timesteps - 1, step.t)
        if report.done not in request.previews.steps(report.total):
            return report, None
        started = time.monotonic()
        preview = shrink(canvas.decode(estimate(step)), request.previews.max_side_px)
        seconds = time.monotonic() - started
        self._metrics.preview_s.observe(seconds)
        totals.preview_s += seconds
        return report, preview

    def _denoised(self, ticket: Ticket) -> None:
        """A picture's steps are over, or will not come."""
        if ticket.denoising_since_s is not None:
            record(ticket.trace, "denoise", ticket.denoising_since_s, time.monotonic(), steps=ticket.totals.steps)
            ticket.denoising_since_s = None

    def _decode(self, ticket: Ticket) -> Image.Image:
        started = time.monotonic()
        assert ticket.canvas is not None
        assert ticket.state is not None
        request_id = ticket.request.request_id
        self._observe(request_id, "latent.final", ticket.state)
        image = ticket.canvas.decode(ticket.state, self._observer(request_id))
        ended = time.monotonic()
        self._metrics.vae_decode_s.observe(ended - started)
        ticket.totals.decode_s += ended - started
        record(ticket.trace, "decode", started, ended)
        return image

    async def _encode_preview(self, ticket: Ticket, report: StepReport, image: Image.Image) -> PreviewPicture:
        request = ticket.request
        data = await asyncio.to_thread(encode, image, request.fmt, quality=request.quality)
        return PreviewPicture(report.picture, report.done, data, (image.height, image.width))

    async def _encode(self, ticket: Ticket, index: int, image: Image.Image) -> FinishedPicture:
        started = time.monotonic()
        request = ticket.request
        data = await asyncio.to_thread(encode, image, request.fmt, quality=request.quality)
        ended = time.monotonic()
        self._metrics.encode_s.observe(ended - started)
        ticket.totals.encode_s += ended - started
        record(ticket.trace, "encode", started, ended, format=request.fmt, bytes=len(data))
        return FinishedPicture(index, data, (image.height, image.width), request.seed + index)

    def _observer(self, request_id: str) -> Callable[[str, Tensor], None]:
        if self._observe is observe_no_request:
            return observe_nothing
        return lambda name, value: self._observe(request_id, name, value)

    async def _on_device(self, function: Callable[..., T], *arguments: object) -> T:
        """Run on the device thread; when cancelled, wait until the device is done with it."""
        return await finish(self._device.run(function, *arguments))
