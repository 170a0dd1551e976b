"""The door in front of the stages: requests wait here, in order, until a stage has room. Admission with a clock.

Owns the lines and wakes who is next. A request that is cancelled, left or late gives its place back at once, a late one
also while nobody asks what comes next.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bagel import limits
from bagel.errors import DeadlineError
from bagel.waiting import sleep_until
from services.gateway.admission import Line, LineFullError, Wanted
from services.gateway.calls import LATE, Call
from services.gateway.costs import LEAST, cost_of
from services.gateway.errors import rate_limited
from services.gateway.happenings import Admitted, Happening, Waiting
from services.gateway.stages import Stages
from services.gateway.tasks import Task

TELL_S = 1.0  # between two words about a place


class Gate:
    """One line for texts, which the Thinkers write, and one for pictures, which the DiTs draw."""

    def __init__(
        self, stages: Stages, *, max_queue: int, max_running: int, max_running_pictures: int | None = None
    ) -> None:
        self._stages = stages
        # A stage that was told to let few wait refuses what is beyond.
        most = {"text": max_running, "picture": max_running_pictures or max_running}
        self._slots = {kind: min(running, max_queue + 1) for kind, running in most.items()}
        self.lines = {
            kind: Line(max_waiting_cost=max_queue, max_waiting_bytes=limits.WAITING_BYTES.most)
            for kind in ("text", "picture")
        }
        self._begins: dict[str, asyncio.Event] = {}

    def check_room(self, *, draws: bool) -> None:
        """Refuse early what could not even wait, before work is spent on it. Raises ApiError."""
        try:
            self.lines[_kind(draws)].check_room(LEAST)
        except LineFullError as error:
            raise rate_limited(str(error), code="queue_full", retry_after_s=error.retry_after_s) from None

    async def admitted(
        self, task: Task, call: Call, run: AsyncGenerator[Happening, None]
    ) -> AsyncGenerator[Happening, None]:
        """What happens to a request, its time in the line first. Raises ApiError (a full line), DeadlineError."""
        kind = _kind(task.sampler is not None)
        begins = self._queue(kind, task, call)
        leaving = asyncio.get_running_loop().call_later(
            call.deadline_s - time.monotonic(), self._leave, kind, call.request_id
        )
        try:
            if not begins.is_set():
                async with aclosing(self._wait(kind, call, begins)) as waiting:
                    async for place in waiting:
                        yield place
            async with aclosing(run):
                async for what in run:
                    yield what
            self._leave(kind, call.request_id, completed=True)
        finally:
            leaving.cancel()
            self._leave(kind, call.request_id)

    def _queue(self, kind: str, task: Task, call: Call) -> asyncio.Event:
        wanted = Wanted(
            request_id=call.request_id, caller=call.caller, cost=cost_of(task, self._stages.limits()),
            num_bytes=sum(map(len, task.images)),
        )  # fmt: skip
        try:
            self.lines[kind].offer(wanted)
        except LineFullError as error:
            raise rate_limited(str(error), code="queue_full", retry_after_s=error.retry_after_s) from None
        self._begins[call.request_id] = begins = asyncio.Event()
        self._advance(kind)
        return begins

    async def _wait(self, kind: str, call: Call, begins: asyncio.Event) -> AsyncGenerator[Happening, None]:
        started_s = time.monotonic()
        while not begins.is_set():
            place = self.lines[kind].place(call.request_id)
            if place is None:  # the timer may come a moment early
                raise DeadlineError(LATE)
            yield Waiting(place.position, place.eta_s)
            await sleep_until(begins, min(call.deadline_s, time.monotonic() + TELL_S))
            call.timeout_s()
            # A stage may have come in the meantime.
            self._advance(kind)
        yield Admitted(time.monotonic() - started_s)

    def _leave(self, kind: str, request_id: str, *, completed: bool = False) -> None:
        """Give a place back, unless that was done before."""
        if self._begins.pop(request_id, None) is not None:
            self.lines[kind].leave(request_id, time.monotonic(), completed=completed)
            self._advance(kind)

    def _advance(self, kind: str) -> None:
        stages = self._stages.thinkers if kind == "text" else self._stages.dits
        # Without any, requests go on and learn what is missing.
        slots = self._slots[kind] * max(1, sum(stage.ready for stage in stages))
        for request_id in self.lines[kind].start(slots, time.monotonic()):
            self._begins[request_id].set()


def _kind(draws: bool) -> str:
    return "picture" if draws else "text"
