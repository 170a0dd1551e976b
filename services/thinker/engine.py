"""Drives requests through scheduler and device thread. Event loop only, except `_perform`, which runs on the device.

The loop alone touches the scheduler, the executions' lifetimes and the page pool while the device is idle; while the
device works on a piece, it alone touches them. Cancellations therefore wait for the end of the running piece.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bagel.device_thread import DeviceThread
from bagel.errors import DeadlineError, RequestError
from bagel.kv_layout import page_runs
from bagel.model.device import explained
from bagel.model.noise import NoiseSource
from bagel.tokens import Tokenizer
from bagel.tracing import here, record
from bagel.waiting import settle, sleep_until
from services.thinker.execution import Execution, Piece
from services.thinker.leases import Announcement, Seal, unique_runs
from services.thinker.metrics import ThinkerMetrics
from services.thinker.prepare import PreparedRequest
from services.thinker.runner import Runner
from services.thinker.scheduler import Decode, Job, Prefill, Scheduler, Work
from services.thinker.scheduler import Seal as SealWork
from transport.holder import Holder

if TYPE_CHECKING:
    from bagel.otel import Spot

Sealed = tuple[Announcement, Seal]
Outcome = Piece | Announcement | Sealed | None


@dataclass(slots=True)
class Timings:
    """Seconds of one request."""

    submitted_s: float
    started_s: float | None = None
    prefill_s: float = 0.0
    decode_s: float = 0.0
    first_token_s: float = 0.0
    decoding: tuple[float, float] | None = None  # from its begin to the end of the last token, on the clock

    @property
    def queue_s(self) -> float:
        """Before the first piece of work."""
        return (self.started_s or self.submitted_s) - self.submitted_s


@dataclass(slots=True)
class Ticket:
    """A request inside the engine, as its caller sees it."""

    execution: Execution
    job: Job
    handle_id: str | None
    position: int
    timings: Timings
    trace: "Spot | None" = None  # the span of its RPC
    announced: set[int] = field(default_factory=set)
    events: asyncio.Queue[Piece | Announcement | Sealed | BaseException] = field(default_factory=asyncio.Queue)

    async def next(self) -> Piece | Announcement | Sealed:
        """The next event; raises what ended the request."""
        event = await self.events.get()
        if isinstance(event, BaseException):
            raise event
        return event


class ThinkerEngine:
    """The Thinker's loop."""

    def __init__(
        self,
        runner: Runner,
        scheduler: Scheduler,
        tokenizer: Tokenizer,
        noise: NoiseSource,
        holder: Holder,
        device: DeviceThread,
        metrics: ThinkerMetrics,
    ) -> None:
        self.runner, self.scheduler = runner, scheduler
        self._tokenizer, self._noise, self._holder = tokenizer, noise, holder
        self._device, self._metrics = device, metrics
        self._tickets: dict[str, Ticket] = {}
        self._closing: list[Ticket] = []
        self._wake = asyncio.Event()
        self._idle_closed = asyncio.Condition()

    def submit(self, prepared: PreparedRequest, *, deadline_s: float, handle_id: str | None = None) -> Ticket:
        """Accept a request; `handle_id` is where its context is published. Raises RequestError."""
        job = prepared.job(self.runner.model.config, deadline_s=deadline_s)
        if job.request_id in self._tickets:
            raise RequestError(f"request {job.request_id} is held here already", param="request.id")
        position = self.scheduler.submit(job)
        execution = Execution(prepared, self.runner, self._tokenizer, self._noise)
        ticket = Ticket(execution, job, handle_id, position, Timings(time.monotonic()), here())
        self._tickets[job.request_id] = ticket
        self._wake.set()
        return ticket

    def most_pages(self, ticket: Ticket) -> int:
        """Upper bound on the different pages of a request's contexts; exact in tokens once a thought is written."""
        tokens, thought = list(ticket.job.node_tokens), ticket.execution.thought_tokens
        if ticket.job.thought_node is not None and thought is not None:
            tokens[ticket.job.thought_node] = thought
        page_tokens = self.runner.pages.page_tokens
        # A node may begin on a page of its own, when it copies a half-filled one.
        return sum(-(-count // page_tokens) + 1 for count in tokens)

    async def close(self, ticket: Ticket) -> None:
        """End a request wherever it is, and wait until its pages are free. Cancels it if it runs."""
        request_id = ticket.execution.prepared.request.request_id
        self.scheduler.remove(request_id)
        self._closing.append(ticket)
        self._wake.set()
        async with self._idle_closed:
            await self._idle_closed.wait_for(lambda: request_id not in self._tickets)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self._close_tickets()
                free_pages = self.runner.pages.free_pages
                decision = self.scheduler.schedule(time.monotonic(), free_pages, self._held_pages)
                for request_id in decision.expired:
                    self._tickets[request_id].events.put_nowait(DeadlineError("the deadline passed in the Thinker"))
                for work in decision.work:
                    await self._execute(work)
                if not decision.work:
                    await sleep_until(self._wake, self.scheduler.next_deadline_s())
        finally:
            self._closing.extend(self._tickets.values())
            await self._close_tickets()

    def _held_pages(self, request_id: str) -> int:
        return self._tickets[request_id].execution.held_pages

    async def _execute(self, work: Work) -> None:
        ticket = self._tickets[work.request_id]
        if any(closing is ticket for closing in self._closing):
            return  # it ended while another request of this step was on the device
        started = time.monotonic()
        if ticket.timings.started_s is None:
            self._begin(ticket, started)
        future = self._device.run(self._perform, work, ticket)
        # The device finishes its piece before anything it uses is given back.
        error = await settle(future)
        self._account(work, ticket, started, time.monotonic())
        if error is not None:
            self.scheduler.remove(work.request_id)
            ticket.events.put_nowait(explained(error))
            return
        outcome = future.result()
        more_tokens = outcome.finish_reason is None if isinstance(outcome, Piece) else ticket.execution.filling
        self.scheduler.done(work, more_tokens=more_tokens)
        if outcome is not None:
            ticket.events.put_nowait(outcome)

    def _perform(self, work: Work, ticket: Ticket) -> Outcome:
        """One piece of work, on the device thread."""
        match work:
            case Prefill(node=node, tokens=tokens):
                ticket.execution.prefill(node, tokens)
                return self._announce(ticket, ticket.execution.final_pages())
            case Decode():
                return ticket.execution.decode()
            case SealWork():
                return self._seal(ticket)

    def _announce(self, ticket: Ticket, pages: list[int]) -> Announcement | None:
        """Publish what was not published yet of a request's context."""
        fresh = sorted(set(pages) - ticket.announced)
        if ticket.handle_id is None or not fresh:
            return None
        generations = self._holder.publish(ticket.handle_id, fresh)
        self._metrics.published.inc(len(fresh) * self.runner.layout.page_bytes)
        ticket.announced.update(fresh)
        return Announcement(tuple(page_runs(fresh)), tuple(generations))

    def _seal(self, ticket: Ticket) -> Sealed:
        contexts = ticket.execution.sealed()
        pages = unique_runs(contexts)
        assert ticket.announced <= set(pages), "a page of no context was announced"
        size = ticket.execution.prepared.output_size
        assert size is not None
        rest = self._announce(ticket, pages) or Announcement((), ())
        return rest, Seal(contexts=tuple(contexts), size=size, unique_pages=len(pages))

    def _begin(self, ticket: Ticket, now_s: float) -> None:
        timings = ticket.timings
        timings.started_s = now_s
        self._metrics.queue_s.observe(timings.queue_s)
        record(ticket.trace, "queue", timings.submitted_s, now_s)

    def _account(self, work: Work, ticket: Ticket, started_s: float, ended_s: float) -> None:
        """Write down how long a piece took: in the request's own figures, the process's, and its trace."""
        timings, seconds = ticket.timings, ended_s - started_s
        match work:
            case Decode():
                timings.decode_s += seconds
                self._metrics.token_s.observe(seconds)
                if timings.decoding is None:
                    timings.first_token_s = ended_s - timings.submitted_s
                    self._metrics.first_token_s.observe(timings.first_token_s)
                timings.decoding = (started_s if timings.decoding is None else timings.decoding[0], ended_s)
            case Prefill(node=node):
                timings.prefill_s += seconds
                block = ticket.execution.prepared.plan.nodes[node].block.kind.value
                self._metrics.prefill_s.labels(block).observe(seconds)
                record(ticket.trace, "prefill", started_s, ended_s, block=block)
            case SealWork():
                timings.prefill_s += seconds

    def _count(self, ticket: Ticket) -> None:
        """What is known once a request is over, however it ended."""
        counters, decoding = ticket.execution.counters, ticket.timings.decoding
        self._metrics.prefill_tokens.inc(counters.prefill_tokens)
        if decoding is not None:
            record(ticket.trace, "decode", *decoding, tokens=counters.decode_steps)

    async def _close_tickets(self) -> None:
        if not self._closing:
            return
        for ticket in self._closing:
            request_id = ticket.execution.prepared.request.request_id
            if self._tickets.pop(request_id, None) is not None:
                if ticket.handle_id is not None:
                    self._holder.release(ticket.handle_id)
                ticket.execution.close()
                self._count(ticket)
        self._closing.clear()
        async with self._idle_closed:
            self._idle_closed.notify_all()
