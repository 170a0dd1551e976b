"""Which block or token the device computes next. Pure: no torch, no clock, no pages of its own.

One request at a time is on the device; the others wait in a bounded queue, first come first served. A request starts
only when the pool has the pages of its worst case, so it never runs out of pages half way. Engines with continuous
batching return more than one piece of work from the same `schedule()`.
"""

from collections import OrderedDict
from dataclasses import dataclass

from bagel.contexts import Output
from bagel.errors import OverloadedError, RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the scheduler knows of a request. `deadline_s` is on the caller's monotonic clock."""

    request_id: str
    node_tokens: tuple[int, ...]
    thought_node: int | None
    decode_tokens: int
    output: Output
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Prefill:
    """Compute one node of the request's plan."""

    request_id: str
    node: int


@dataclass(frozen=True, slots=True)
class Decode:
    """Feed one token and pick the next."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Seal:
    """Every node is there: publish the context."""

    request_id: str


Work = Prefill | Decode | Seal


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: work for the device, and requests whose deadline has passed."""

    work: tuple[Work, ...]
    expired: tuple[str, ...]


@dataclass(slots=True)
class _Running:
    job: Job
    next_node: int = 0
    decoding: bool = False
    decoded: bool = False


class Scheduler:
    """The Thinker's queue and the state of its running request."""

    def __init__(self, *, num_pages: int, page_tokens: int, max_queue: int) -> None:
        self._num_pages, self._page_tokens, self._max_queue = num_pages, page_tokens, max_queue
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._running: _Running | None = None

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests on the device."""
        return int(self._running is not None)

    def submit(self, job: Job) -> int:
        """Queue a request; its position, 0 for the next. Raises RequestError or OverloadedError."""
        if job.request_id in self._waiting or (self._running and self._running.job.request_id == job.request_id):
            raise RequestError(f"request {job.request_id} is already here", param="request_id")
        if self.demand_pages(job) > self._num_pages:
            raise RequestError(
                f"the request needs up to {sum(job.node_tokens) + job.decode_tokens} tokens of context, this server has"
                f" room for {self._num_pages * self._page_tokens}: send fewer or"
                " smaller pictures, a shorter text, or a lower token limit",
                param="messages",
            )
        if len(self._waiting) >= self._max_queue:
            raise OverloadedError(f"{len(self._waiting)} requests are waiting for the Thinker already; try again later")
        self._waiting[job.request_id] = job
        return len(self._waiting) - 1

    def demand_pages(self, job: Job) -> int:
        """Most pages a request can hold: every node may begin on a page of its own and copy one."""
        sizes = [*job.node_tokens, job.decode_tokens] if job.decode_tokens else list(job.node_tokens)
        return sum(-(-size // self._page_tokens) + 1 for size in sizes)

    def schedule(self, now_s: float, free_pages: int) -> Decision:
        """Decide what runs now. Changes nothing but the queue: report outcomes with `done`."""
        expired = [job.request_id for job in self._waiting.values() if job.deadline_s <= now_s]
        if self._running is not None and self._running.job.deadline_s <= now_s:
            expired.append(self._running.job.request_id)
        for request_id in expired:
            self.remove(request_id)
        if self._running is None and self._waiting:
            first = next(iter(self._waiting.values()))
            if self.demand_pages(first) <= free_pages:
                del self._waiting[first.request_id]
                self._running = _Running(first)
        work = (self._next_work(self._running),) if self._running is not None else ()
        return Decision(work, tuple(expired))

    def done(self, work: Work, *, more_tokens: bool = False) -> None:
        """Record that work was executed; `more_tokens` says that decoding goes on. Unknown requests are ignored."""
        running = self._running
        if running is None or running.job.request_id != work.request_id:
            return
        match work:
            case Prefill():
                running.next_node += 1
            case Decode():
                running.decoding, running.decoded = more_tokens, not more_tokens
                if running.decoded and running.job.output is Output.TEXT:
                    self._running = None
            case Seal():
                self._running = None

    def remove(self, request_id: str) -> None:
        """Forget a request, wherever it is: cancelled, expired or failed."""
        self._waiting.pop(request_id, None)
        if self._running is not None and self._running.job.request_id == request_id:
            self._running = None

    def next_deadline_s(self) -> float | None:
        """When the queue must be looked at again though nothing happened."""
        return min((job.deadline_s for job in self._waiting.values()), default=None)

    def _next_work(self, running: _Running) -> Work:
        job = running.job
        if running.next_node < len(job.node_tokens):
            if running.next_node == job.thought_node and not running.decoded:
                return Decode(job.request_id)
            return Prefill(job.request_id, running.next_node)
        return Decode(job.request_id) if job.output is Output.TEXT else Seal(job.request_id)
