"""Which request the DiT works on. Pure: no torch, no clock, no transport.

One request at a time is denoised; the others wait in a bounded queue while their contexts are fetched, and the first
whose context is here comes next. Between two steps every request may be cancelled or expire.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from bagel.errors import OverloadedError, RequestError


class Phase(Enum):
    """What the running request needs next."""

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
    """What to do now: at most one piece of work, and requests whose deadline has passed."""

    work: tuple[Work, ...]
    expired: tuple[str, ...]


class Scheduler:
    """The DiT's queue and the state of its running request."""

    def __init__(self, *, max_queue: int) -> None:
        self._max_queue = max_queue
        self._waiting: OrderedDict[str, Job] = OrderedDict()
        self._fetched: set[str] = set()
        self._running: Job | None = None
        self._next: Work | None = None

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests being denoised."""
        return int(self._running is not None)

    def submit(self, job: Job) -> int:
        """Queue a request; its position. Raises RequestError or OverloadedError."""
        if job.request_id in self._waiting or (self._running and self._running.request_id == job.request_id):
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
        jobs = [*self._waiting.values(), *([self._running] if self._running else [])]
        expired = tuple(job.request_id for job in jobs if job.deadline_s <= now_s)
        for request_id in expired:
            self.remove(request_id)
        first = next((request_id for request_id in self._waiting if request_id in self._fetched), None)
        if self._running is None and first is not None:
            self._running = self._waiting.pop(first)
            self._fetched.remove(first)
            self._next = Work(first, Phase.LOAD, 0, 0)
        return Decision((self._next,) if self._next else (), expired)

    def done(self, work: Work) -> None:
        """Record that work was executed. Work of requests that are gone is ignored."""
        if self._running is None or work != self._next:
            return
        job = self._running
        match work.phase:
            case Phase.LOAD:
                self._next = Work(job.request_id, Phase.STEP, 0, 0)
            case Phase.STEP if work.step + 1 < job.steps:
                self._next = Work(job.request_id, Phase.STEP, work.picture, work.step + 1)
            case Phase.STEP:
                self._next = Work(job.request_id, Phase.DECODE, work.picture, 0)
            case Phase.DECODE if work.picture + 1 < job.pictures:
                self._next = Work(job.request_id, Phase.STEP, work.picture + 1, 0)
            case Phase.DECODE:
                self._running = self._next = None

    def remove(self, request_id: str) -> None:
        """Forget a request, wherever it is: cancelled, expired or failed."""
        self._waiting.pop(request_id, None)
        self._fetched.discard(request_id)
        if self._running is not None and self._running.request_id == request_id:
            self._running = self._next = None

    def next_deadline_s(self) -> float | None:
        """When the queue must be looked at again though nothing happened."""
        return min((job.deadline_s for job in self._waiting.values()), default=None)
