"""Which request the DiT works on. Pure: no torch, no clock, no transport.

Up to `max_num_seqs` requests are denoised at once, a step each in turns; the others wait in a bounded queue while their
contexts are fetched, and the first whose context is here comes next. Between two steps every request may be cancelled
or expire.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from bagel.errors import OverloadedError, RequestError


class Phase(Enum):
    """What a running request needs next."""

    LOAD = "load"
    STEP = "step"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the scheduler knows of a request. `deadline_s` is on the caller's monotonic clock."""

    request_id: str
    steps: int
    pictures: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Work:
    """The next piece: load the context, or a step or the decoding of one of the pictures."""

    request_id: str
    phase: Phase
    picture: int
    step: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: a piece of work for every running request, and requests whose deadline has passed."""

    work: tuple[Work, ...]
    expired: tuple[str, ...]


class Scheduler:
    """The DiT's queue and the state of its running requests."""

    def __init__(self, *, max_queue: int, max_num_seqs: int) -> None:
        self._max_queue, self._max_num_seqs = max_queue, max_num_seqs
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._fetched: set[str] = set()
        self._running: dict[str, Job] = {}
        self._next: dict[str, Work] = {}  # of every running request

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests being denoised."""
        return len(self._running)

    def submit(self, job: Job) -> int:
        """Queue a request; its position. Raises RequestError or OverloadedError."""
        if job.request_id in self._waiting or job.request_id in self._running:
            raise RequestError(f"request {job.request_id} is already here", param="request.id")
        if len(self._waiting) >= self._max_queue:
            raise OverloadedError(f"{len(self._waiting)} requests are waiting for the DiT already; try again later")
        self._waiting[job.request_id] = job
        return len(self._waiting) - 1

    def fetched(self, request_id: str) -> None:
        """A request's context is here. Requests that are gone are ignored."""
        if request_id in self._waiting:
            self._fetched.add(request_id)

    def schedule(self, now_s: float) -> Decision:
        """Decide what runs now; report the outcome with `done`."""
        jobs = [*self._waiting.values(), *self._running.values()]
        expired = tuple(job.request_id for job in jobs if job.deadline_s <= now_s)
        for request_id in expired:
            self.remove(request_id)
        for request_id in [request_id for request_id in self._waiting if request_id in self._fetched]:
            if len(self._running) >= self._max_num_seqs:
                break
            self._running[request_id] = self._waiting.pop(request_id)
            self._fetched.remove(request_id)
            self._next[request_id] = Work(request_id, Phase.LOAD, 0, 0)
        return Decision(tuple(self._next.values()), expired)

    def done(self, work: Work) -> None:
        """Record that work was executed. Work of requests that are gone is ignored."""
        if self._next.get(work.request_id) != work:
            return
        job = self._running[work.request_id]
        match work.phase:
            case Phase.LOAD:
                self._next[job.request_id] = Work(job.request_id, Phase.STEP, 0, 0)
            case Phase.STEP if work.step + 1 < job.steps:
                self._next[job.request_id] = Work(job.request_id, Phase.STEP, work.picture, work.step + 1)
            case Phase.STEP:
                self._next[job.request_id] = Work(job.request_id, Phase.DECODE, work.picture, 0)
            case Phase.DECODE if work.picture + 1 < job.pictures:
                self._next[job.request_id] = Work(job.request_id, Phase.STEP, work.picture + 1, 0)
            case Phase.DECODE:
                self.remove(job.request_id)

    def remove(self, request_id: str) -> None:
        """Forget a request, wherever it is: cancelled, expired or failed."""
        self._waiting.pop(request_id, None)
        self._fetched.discard(request_id)
        self._running.pop(request_id, None)
        self._next.pop(request_id, None)

    def next_deadline_s(self) -> float | None:
        """When the queue must be looked at again though nothing happened."""
        return min((job.deadline_s for job in self._waiting.values()), default=None)
