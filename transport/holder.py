"""The holder's side of every plane: what it publishes, to whom, and the bytes of it. Thread-safe.

Announces and grants; the planes carry what `read` allows, or hand out the pool where they cannot ask.
"""

import threading
from collections.abc import Sequence

import xxhash

from transport.base import DataPlane, Endpoint, KeepsCopies
from transport.pool import Pool
from transport.publications import Publications
from transport.reading import check_generations


class Holder:
    """A pool that is served over some planes; `endpoints`, best first, go into handles."""

    def __init__(self, pool: Pool, planes: Sequence[DataPlane]) -> None:
        self.pool, self._planes = pool, planes
        self.page_bytes = pool.layout.page_bytes
        self._publications = Publications(pool.layout.epoch, pool.generations)
        self._view = pool.view
        self._digests: dict[int, tuple[int, int]] = {}  # page -> generation, digest
        self._lock = threading.Lock()
        self.endpoints: tuple[Endpoint, ...] = tuple(plane.serve(self) for plane in planes)

    def publish(self, handle_id: str, pages: Sequence[int]) -> list[int]:
        """Announce final pages of a handle; their generations. They must not change until `release`.

        On a GPU the caller must own the device.
        """
        self.pool.expose(pages)
        generations = self._publications.publish(handle_id, pages)
        self._refresh_copies(generations)
        return generations

    def digests(self, pages: Sequence[int], generations: Sequence[int]) -> list[int]:
        """xxh3-64 of published pages, for planes whose bytes travel. Raises LeaseEndedError."""
        found = []
        for page, generation in zip(pages, generations, strict=True):
            with self._lock:
                known = self._digests.get(page)
            if known is None or known[0] != generation:
                known = generation, xxhash.xxh3_64_intdigest(self._slice(page, 1))
                # Bytes may change from the release on, so what was hashed counts only if it is still published.
                check_generations(self.pool.generations, [page], [generation])
                with self._lock:
                    self._digests[page] = known
            found.append(known[1])
        return found

    def open_grant(self, handle_id: str, *, until_s: float = float("inf")) -> bytes:
        """A new token that reads the handle's pages, present and future, until `until_s` on the monotonic clock."""
        return self._publications.open_grant(handle_id, until_s)

    def renew(self, token: bytes, *, until_s: float) -> None:
        """Prolong a grant. Raises LeaseEndedError when it is over, TransferRefusedError when there never was one."""
        self._publications.renew(token, until_s)

    def close_grant(self, token: bytes) -> None:
        """End a grant; later reads with its token are refused. Unknown tokens are ignored."""
        self._publications.close_grant(token)

    def release(self, handle_id: str) -> None:
        """End or abort a handle with its grants; its pages may change from now on. Unknown handles are ignored."""
        self._publications.release(handle_id)
        self._refresh_copies(())

    def check(self, token: bytes, epoch: int) -> None:
        """Whether a token opens a grant. Raises TransferRefusedError, LeaseEndedError or StaleEpochError."""
        self._publications.check_epoch(token, epoch)

    def read(self, token: bytes, epoch: int, start: int, count: int) -> memoryview:
        """Bytes of neighbouring pages. Raises TransferRefusedError, LeaseEndedError or StaleEpochError."""
        self._publications.check(token, epoch, start, count)
        return self._slice(start, count)

    def read_inline(self, pages: Sequence[int], generations: Sequence[int]) -> bytes:
        """Bytes of published pages, to be sent with their announcement. Raises LeaseEndedError."""
        copied = b"".join(self._slice(page, 1) for page in pages)
        check_generations(self.pool.generations, pages, generations)
        return copied

    def close(self) -> None:
        """Stop serving. The pool's memory stays valid."""
        for plane in self._planes:
            plane.close()
        self.pool.close()

    def _refresh_copies(self, published: Sequence[int]) -> None:
        for plane in self._planes:
            if isinstance(plane, KeepsCopies):
                plane.refresh(published)

    def _slice(self, start: int, count: int) -> memoryview:
        return self._view[start * self.page_bytes : (start + count) * self.page_bytes]
