"""A request's name and its deadline."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bagel.errors import DeadlineError
from bagel.v1 import kv_pb2

LATE = "the request's deadline passed before its answer was ready"


@dataclass(frozen=True, slots=True)
class Call:
    """Names a request, whose it is, and when it must be over, on the monotonic clock."""

    request_id: str
    deadline_s: float
    caller: str = ""  # name of its API key, if keys are asked for
    sent_id: str | None = None  # the client's own id for it

    def proto(self, attempt: int) -> kv_pb2.RequestId:
        """One try of it, for messages; tries count from 1."""
        return kv_pb2.RequestId(id=self.request_id, attempt=attempt)

    def timeout_s(self) -> float:
        """Seconds left. Raises DeadlineError."""
        left = self.deadline_s - time.monotonic()
        if left <= 0:
            raise DeadlineError(LATE)
        return left

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """A block that must end before the deadline. Raises DeadlineError."""
        try:
            async with asyncio.timeout(self.timeout_s()):
                yield
        except TimeoutError:
            raise DeadlineError(LATE) from None
