"""What a holder has published and who may read it. Shared by the backends; thread-safe; moves no bytes."""

import secrets
import threading
from collections.abc import Iterable

from transport.errors import StaleEpochError, TransferRefusedError

TOKEN_BYTES = 16


class Publications:
    """Handles with their published pages, and the grants open on them."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._lock = threading.Lock()
        self._pages: dict[str, set[int]] = {}
        self._grants: dict[bytes, str] = {}

    def publish(self, handle_id: str, pages: Iterable[int]) -> None:
        """Add pages to a handle."""
        with self._lock:
            self._pages.setdefault(handle_id, set()).update(pages)

    def open_grant(self, handle_id: str) -> bytes:
        """A token for a handle; pages published later are covered too."""
        token = secrets.token_bytes(TOKEN_BYTES)
        with self._lock:
            self._pages.setdefault(handle_id, set())
            self._grants[token] = handle_id
        return token

    def close_grant(self, token: bytes) -> None:
        """Forget a token."""
        with self._lock:
            self._grants.pop(token, None)

    def release(self, handle_id: str) -> None:
        """Forget a handle and every grant on it."""
        with self._lock:
            self._pages.pop(handle_id, None)
            self._grants = {token: handle for token, handle in self._grants.items() if handle != handle_id}

    def check(self, token: bytes, epoch: int, start: int, count: int) -> str:
        """The handle that may be read so. Raises TransferRefusedError or StaleEpochError."""
        if epoch != self._epoch:
            raise StaleEpochError(f"the handle is of epoch {epoch}, this holder lives in {self._epoch}")
        with self._lock:
            handle_id = self._grants.get(token)
            if handle_id is None:
                raise TransferRefusedError("the token opens no grant: its lease or its grant is over")
            pages = self._pages[handle_id]
            if count < 1 or not all(page in pages for page in range(start, start + count)):
                raise TransferRefusedError(f"pages {start} to {start + count - 1} are not published under this handle")
        return handle_id
