"""The holder's side of every transport: what it publishes, to whom, and the bytes of it. Thread-safe.

Made by `Transport.serve`. Announces and grants; the transport's own code only carries what `read` allows.
"""

from collections.abc import Sequence

from transport.base import Endpoint, Region
from transport.host_pages import HostPages
from transport.publications import Publications


class Holder:
    """A pool that is served; `endpoint` goes into handles."""

    def __init__(self, pool: Region, endpoint: Endpoint, *, page_bytes: int, epoch: int) -> None:
        self.endpoint = endpoint
        self._publications, self._pages = Publications(epoch), HostPages(pool, page_bytes)

    def publish(self, handle_id: str, pages: Sequence[int]) -> list[int]:
        """Announce final pages of a handle; their digests. They must not change until `release`.

        On a GPU the caller must own the device.
        """
        digests = self._pages.add(handle_id, pages)
        self._publications.publish(handle_id, pages)
        return digests

    def open_grant(self, handle_id: str) -> bytes:
        """A new token that reads the handle's pages, present and future, until it is closed."""
        return self._publications.open_grant(handle_id)

    def close_grant(self, token: bytes) -> None:
        """End a grant; later reads with its token are refused. Unknown tokens are ignored."""
        self._publications.close_grant(token)

    def release(self, handle_id: str) -> None:
        """Forget a handle and its grants; its pages may change from now on. Unknown handles are ignored."""
        self._publications.release(handle_id)
        self._pages.drop(handle_id)

    def read(self, token: bytes, epoch: int, start: int, count: int) -> list[memoryview]:
        """Bytes of neighbouring pages. Raises TransferRefusedError or StaleEpochError."""
        handle_id = self._publications.check(token, epoch, start, count)
        return [self._pages.view(handle_id, page) for page in range(start, start + count)]
