"""Which blocks and tokens the device computes next. Pure: no torch, no clock, no pages of its own.

Up to `max_num_seqs` requests are worked on at once: each step gives every one of them its next piece, in turns. The
others wait in a bounded queue, first come first served. A request starts only when the pool has the pages of its worst
case beside those that running ones may still take, so it never runs out of pages half way. One step prefills at most
`max_num_batched_tokens`: longer texts are cut, and a picture's block, which is never cut, takes a step of its own.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from bagel.contexts import Output
from bagel.errors import OverloadedError, RequestError

HeldPages = Callable[[str], int]  # pages that a running request holds, by its id


def nothing_held(request_id: str) -> int:
    """The default: running requests may still take all that they can ever need."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the scheduler knows of a request. `deadline_s` is on the caller's monotonic clock."""

    request_id: str
    node_tokens: tuple[int, ...]
    picture_nodes: frozenset[int]  # computed whole
    thought_node: int | None
    decode_tokens: int
    output: Output
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Prefill:
    """Compute one node of the request's plan, or only the next `tokens` of its text."""

    request_id: str
    node: int
    tokens: int | None = None


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
    """What to do now: one step's work for the device, and requests whose deadline has passed."""

    work: tuple[Work, ...]
    expired: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a scheduler keeps to."""

    num_pages: int
    page_tokens: int
    max_queue: int
    max_num_seqs: int
    max_num_batched_tokens: int


@dataclass(slots=True)
class _Running:
    job: Job
    next_node: int = 0
    node_done: int = 0  # tokens of that node
    decoded: bool = False


class Scheduler:
    """The Thinker's queue and the state of its running requests."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._running: OrderedDict[str, _Running] = OrderedDict()  # whoever had its turn goes to the end

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests on the device."""
        return len(self._running)

    def submit(self, job: Job) -> int:
        """Queue a request; its position, 0 for the next. Raises RequestError or OverloadedError."""
        bounds = self._bounds
        if job.request_id in self._waiting or job.request_id in self._running:
            raise RequestError(f"request {job.request_id} is already here", param="request_id")
        if self.demand_pages(job) > bounds.num_pages:
            raise RequestError(
                f"the request needs up to {sum(job.node_tokens) + job.decode_tokens} tokens of context, this server has"
                f" room for {bounds.num_pages * bounds.page_tokens}: send fewer or"
                " smaller pictures, a shorter text, or a lower token limit",
                param="messages",
            )
        if len(self._waiting) >= bounds.max_queue:
            raise OverloadedError(f"{len(self._waiting)} requests are waiting for the Thinker already; try again later")
        self._waiting[job.request_id] = job
        return len(self._waiting) - 1

    def demand_pages(self, job: Job) -> int:
        """Most pages a request can hold: every node may begin on a page of its own and copy one."""
        sizes = [*job.node_tokens, job.decode_tokens] if job.decode_tokens else list(job.node_tokens)
        return sum(-(-size // self._bounds.page_tokens) + 1 for size in sizes)

    def schedule(self, now_s: float, free_pages: int, held_pages: HeldPages = nothing_held) -> Decision:
        """Decide what runs now; report outcomes with `done`."""
        jobs = [*self._waiting.values(), *(running.job for running in self._running.values())]
        expired = tuple(job.request_id for job in jobs if job.deadline_s <= now_s)
        for request_id in expired:
            self.remove(request_id)
        self._start(free_pages, held_pages)
        return Decision(self._step(), expired)

    def done(self, work: Work, *, more_tokens: bool = False) -> None:
        """Record that work was executed; `more_tokens` says that its text, read or written, goes on.

        Unknown requests are ignored.
        """
        running = self._running.get(work.request_id)
        if running is None:
            return
        self._running.move_to_end(work.request_id)
        match work:
            case Prefill(tokens=int(tokens)) if more_tokens:
                running.node_done += tokens
            case Prefill():
                running.next_node, running.node_done = running.next_node + 1, 0
            case Decode():
                running.decoded = not more_tokens
                if running.decoded and running.job.output is Output.TEXT:
                    del self._running[work.request_id]
            case Seal():
                del self._running[work.request_id]

    def remove(self, request_id: str) -> None:
        """Forget a request, wherever it is: cancelled, expired or failed."""
        self._waiting.pop(request_id, None)
        self._running.pop(request_id, None)

    def next_deadline_s(self) -> float | None:
        """When the queue must be looked at again though nothing happened."""
        return min((job.deadline_s for job in self._waiting.values()), default=None)

    def _start(self, free_pages: int, held_pages: HeldPages) -> None:
        """Let the first that wait run, as far as requests and pages go."""
        if not self._waiting or len(self._running) >= self._bounds.max_num_seqs:
            return
        promised = sum(
            max(0, self.demand_pages(running.job) - held_pages(request_id))
            for request_id, running in self._running.items()
        )
        while self._waiting and len(self._running) < self._bounds.max_num_seqs:
            first = next(iter(self._waiting.values()))
            demand = self.demand_pages(first)
            if promised + demand > free_pages:
                return
            promised += demand
            del self._waiting[first.request_id]
            self._running[first.request_id] = _Running(first)

    def _step(self) -> tuple[Work, ...]:
        """The next piece of every running request, as far as the step's tokens go."""
        work: list[Work] = []
        left = most = self._bounds.max_num_batched_tokens
        for running in self._running.values():
            piece: Work | None = _next_work(running)
            if isinstance(piece, Prefill):
                wanted = running.job.node_tokens[piece.node] - running.node_done
                if wanted > left and piece.node in running.job.picture_nodes and left < most:
                    continue  # it comes first in a later step: those that had their turn are behind it
                if wanted > left and piece.node not in running.job.picture_nodes:
                    piece = replace(piece, tokens=left) if left else None
                left = max(0, left - wanted)
            if piece is not None:
                work.append(piece)
        return tuple(work)


def _next_work(running: _Running) -> Work:
    job = running.job
    if running.next_node < len(job.node_tokens):
        if running.next_node == job.thought_node and not running.decoded:
            return Decode(job.request_id)
        return Prefill(job.request_id, running.next_node)
    return Decode(job.request_id) if job.output is Output.TEXT else Seal(job.request_id)
