"""What a holder has published and who may read it. Shared by the planes; thread-safe; moves no bytes.

A page has a generation while it is published: a number that no earlier publication of this holder had. It is zero
again from the release of the last handle that held the page, and only then may the page's bytes change.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from transport.base import Generations
from transport.errors import LeaseEndedError, StaleEpochError, TransferRefusedError

TOKEN_BYTES = 16
MAX_ENDED = 4096  # tokens of ended grants that are remembered, to tell a late reader from a forged token


@dataclass(slots=True)
class _Grant:
    handle_id: str
    until_s: float


class Publications:
    """Handles with their published pages, and the grants open on them. `generations` has an entry a page."""

    def __init__(self, epoch: int, generations: Generations) -> None:
        self._epoch = epoch
        self._lock = threading.Lock()
        self._generations = generations
        self._holders = [0] * len(generations)
        self._next = 1
        self._pages: dict[str, set[int]] = {}
        self._grants: dict[bytes, _Grant] = {}
        self._ended: OrderedDict[bytes, None] = OrderedDict()

    def publish(self, handle_id: str, pages: Sequence[int]) -> list[int]:
        """Add pages to a handle; their generations."""
        with self._lock:
            own = self._pages.setdefault(handle_id, set())
            for page in pages:
                if page in own:
                    continue
                own.add(page)
                self._holders[page] += 1
                if self._holders[page] == 1:
                    self._generations[page] = self._next
                    self._next += 1
            return [int(self._generations[page]) for page in pages]

    def open_grant(self, handle_id: str, until_s: float) -> bytes:
        """A new token for the handle's pages, present and future, good until `until_s` on the monotonic clock."""
        token = secrets.token_bytes(TOKEN_BYTES)
        with self._lock:
            self._pages.setdefault(handle_id, set())
            self._grants[token] = _Grant(handle_id, until_s)
        return token

    def renew(self, token: bytes, until_s: float) -> None:
        """Prolong a grant. Raises LeaseEndedError when it is over."""
        with self._lock:
            self._find(token).until_s = until_s

    def close_grant(self, token: bytes) -> None:
        """End a grant; unknown tokens are ignored."""
        with self._lock:
            self._end(token)

    def release(self, handle_id: str) -> None:
        """Forget a handle and every grant on it; pages that no other handle holds lose their generation."""
        with self._lock:
            for page in self._pages.pop(handle_id, ()):
                self._holders[page] -= 1
                if self._holders[page] == 0:
                    self._generations[page] = 0
            for token in [t for t, grant in self._grants.items() if grant.handle_id == handle_id]:
                self._end(token)

    def check_epoch(self, token: bytes, epoch: int) -> None:
        """Raise TransferRefusedError, of one kind or another, unless the token opens a grant of this life."""
        if epoch != self._epoch:
            raise StaleEpochError(f"the handle is of epoch {epoch}, this holder lives in {self._epoch}")
        with self._lock:
            self._find(token)

    def check(self, token: bytes, epoch: int, start: int, count: int) -> None:
        """As `check_epoch`, and whether the pages may be read with this token."""
        self.check_epoch(token, epoch)
        with self._lock:
            pages = self._pages[self._find(token).handle_id]
            if not 1 <= count <= len(self._holders) or not all(p in pages for p in range(start, start + count)):
                raise TransferRefusedError(f"pages {start} to {start + count - 1} are not published under this handle")

    def _find(self, token: bytes) -> _Grant:
        grant = self._grants.get(token)
        if grant is not None and grant.until_s > time.monotonic():
            return grant
        if grant is not None:
            self._end(token)
        if token in self._ended:
            raise LeaseEndedError("the token's lease or grant is over")
        raise TransferRefusedError("the token opens no grant here")

    def _end(self, token: bytes) -> None:
        if self._grants.pop(token, None) is not None:
            self._ended[token] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
