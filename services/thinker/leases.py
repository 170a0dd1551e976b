"""Published contexts while someone holds their lease, and those who read them. Event loop only; no tensors.

A lease is opened when its request is accepted, announces pages as they become final, is sealed once, and ends once.
Readers follow it from wherever it stands; when it ends, they fail.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bagel.errors import BagelError, OverloadedError
from bagel.kv_layout import PageRun
from bagel.limits import GRANTS
from services.thinker.execution import SealedContext

TOKEN_BYTES = 16


class LeaseError(BagelError):
    """Base of what a reader can do wrong or suffer."""


class UnknownHandleError(LeaseError):
    """No such handle here, or not any more."""


class WrongTokenError(LeaseError):
    """The reader does not know the handle's secret."""


class StaleHandleError(LeaseError):
    """The handle is of another life of this process, or of another attempt."""


class LeaseOverError(LeaseError):
    """The lease ended while its pages were being read."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Pages that are final, with the generation of each."""

    runs: tuple[PageRun, ...]
    generations: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The finished contexts and the size of the picture (height, width)."""

    contexts: tuple[SealedContext, ...]
    size: tuple[int, int]
    unique_pages: int


class Lease:
    """One published context."""

    def __init__(self, handle_id: str, request_id: str, attempt: int) -> None:
        self.handle_id, self.request_id, self.attempt = handle_id, request_id, attempt
        self.read_token = secrets.token_bytes(TOKEN_BYTES)
        self._events: list[Announcement | Seal] = []
        self._ended = False
        self._changed = asyncio.Condition()

    async def announce(self, event: Announcement | Seal) -> None:
        """Tell present and future readers."""
        async with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    async def end(self) -> None:
        """No page may be read any more."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def follow(self) -> AsyncIterator[Announcement | Seal]:
        """Every event from the first; stays open after the seal. Raises LeaseOverError when the lease ends."""
        seen = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._ended or len(self._events) > seen)  # noqa: B023
                if self._ended:
                    raise LeaseOverError(f"the lease of {self.handle_id} is over")
                fresh = self._events[seen:]
            seen += len(fresh)
            for event in fresh:
                yield event


class LeaseBook:
    """All leases of one process."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._leases: dict[str, Lease] = {}
        self._next = 0
        self.grants = 0

    def __len__(self) -> int:
        return len(self._leases)

    def open(self, request_id: str, attempt: int) -> Lease:
        """A lease with a new handle id."""
        self._next += 1
        lease = Lease(f"kv-{self._epoch:x}-{self._next}", request_id, attempt)
        self._leases[lease.handle_id] = lease
        return lease

    async def end(self, lease: Lease) -> None:
        """End a lease; its readers fail."""
        self._leases.pop(lease.handle_id, None)
        await lease.end()

    def find(self, handle_id: str, *, epoch: int, attempt: int, token: bytes) -> Lease:
        """The lease that a reader may follow. Raises LeaseError or OverloadedError."""
        if epoch != self._epoch:
            raise StaleHandleError(f"the handle is of epoch {epoch}, this Thinker lives in {self._epoch}")
        lease = self._leases.get(handle_id)
        if lease is None:
            raise UnknownHandleError(f"no context {handle_id!r} is leased here; it may be over")
        if not secrets.compare_digest(token, lease.read_token):
            raise WrongTokenError(f"the read_token does not open {handle_id}")
        if attempt != lease.attempt:
            raise StaleHandleError(f"{handle_id} belongs to attempt {lease.attempt}, not {attempt}")
        if self.grants >= GRANTS.most:
            raise OverloadedError(f"{self.grants} reads are open already")
        return lease


def unique_runs(contexts: Sequence[SealedContext]) -> list[int]:
    """Different pages of all contexts, ascending."""
    return sorted({page for context in contexts for page in context.pages})
