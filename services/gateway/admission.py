"""Which request begins next, and which is refused. Pure: no clock, no asyncio; knows costs and callers, not tasks.

A line is bounded by the cost of what waits, not by its number: 1 is an ordinary request of its task. Callers take
turns, and each of them is served first come first served. How fast a line moves is measured from what was completed.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

MEMORY = 0.9  # of the measured speed at each completion
UNMEASURED_S = 5.0  # told before anything was completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request that asks to be let in. `cost` is over 0."""

    request_id: str
    caller: str
    cost: float
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting request stands: 0 begins next. `eta_s` is absent until something was completed."""

    position: int
    eta_s: float | None


class LineFullError(Exception):
    """Too much waits already; `retry_after_s` is when there should be room."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Line:
    """The requests of one kind that wait and run."""

    def __init__(self, *, max_waiting_cost: float, max_waiting_bytes: int) -> None:
        self._max_cost, self._max_bytes = max_waiting_cost, max_waiting_bytes
        self._waiting: OrderedDict[str, deque[Wanted]] = OrderedDict()  # by caller, whose turn is next first
        self._running: dict[str, Wanted] = {}
        self._busy_since_s = 0.0
        self._spent_s, self._completed_cost = 0.0, 0.0

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        """Requests that were let in."""
        return len(self._running)

    @property
    def waiting_cost(self) -> float:
        """Cost of those that wait."""
        return sum(wanted.cost for wanted in self.order())

    def check_room(self, cost: float, num_bytes: int = 0) -> None:
        """Raise LineFullError unless a request may wait. A line in which nobody waits takes any."""
        waiting = list(self.order())
        waiting_cost = sum(wanted.cost for wanted in waiting)
        over_cost = waiting_cost + cost - self._max_cost
        over_bytes = sum(wanted.num_bytes for wanted in waiting) + num_bytes - self._max_bytes
        if waiting and (over_cost > 0 or over_bytes > 0):
            # What must leave the line before there is room.
            leaving = over_cost if over_bytes <= 0 else max(over_cost, waiting_cost / 2)
            raise LineFullError(
                f"{len(waiting)} requests of a cost of {waiting_cost:.1f} are waiting already, at most"
                f" {self._max_cost:g} may; try again later",
                retry_after_s=self._seconds(leaving) or UNMEASURED_S,
            )

    def offer(self, wanted: Wanted) -> None:
        """Let a request wait; `start` says when it begins. Raises LineFullError."""
        self.check_room(wanted.cost, wanted.num_bytes)
        self._waiting.setdefault(wanted.caller, deque()).append(wanted)

    def start(self, slots: int, now_s: float) -> list[str]:
        """Let in as many as there is room for among `slots`; their ids."""
        started = []
        while self._waiting and len(self._running) < slots:
            caller, line = next(iter(self._waiting.items()))
            wanted = line.popleft()
            if line:
                self._waiting.move_to_end(caller)
            else:
                del self._waiting[caller]
            if not self._running:
                self._busy_since_s = now_s
            self._running[wanted.request_id] = wanted
            started.append(wanted.request_id)
        return started

    def leave(self, request_id: str, now_s: float, *, completed: bool) -> None:
        """A request is over, wherever it was; only what was `completed` tells something about speed."""
        wanted = self._running.pop(request_id, None)
        if wanted is None:
            self._forget(request_id)
        elif completed:
            self._spent_s = MEMORY * self._spent_s + now_s - self._busy_since_s
            self._completed_cost = MEMORY * self._completed_cost + wanted.cost
            self._busy_since_s = now_s

    def place(self, request_id: str) -> Place | None:
        """Where a request stands; None unless it waits."""
        ahead = 0.0
        for position, wanted in enumerate(self.order()):
            if wanted.request_id == request_id:
                # One of those that run must end before the first begins.
                running = sum(other.cost for other in self._running.values()) / max(1, len(self._running))
                return Place(position, self._seconds(ahead + running))
            ahead += wanted.cost
        return None

    def order(self) -> Iterator[Wanted]:
        """Those that wait, in the order in which they will begin if nobody comes or leaves."""
        longest = max(map(len, self._waiting.values()), default=0)
        for turn in range(longest):
            for line in self._waiting.values():
                if turn < len(line):
                    yield line[turn]

    def _forget(self, request_id: str) -> None:
        for caller, line in self._waiting.items():
            for wanted in line:
                if wanted.request_id == request_id:
                    line.remove(wanted)
                    if not line:
                        del self._waiting[caller]
                    return

    def _seconds(self, cost: float) -> float | None:
        """How long the server takes for a cost, with all that it does at once."""
        return cost * self._spent_s / self._completed_cost if self._completed_cost else None
