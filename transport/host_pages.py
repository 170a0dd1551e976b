"""Published pages as host memory: the pool itself on a CPU, a copy made at publication on a GPU.

The copy is made by the caller of `add`, which owns the device; serving threads then touch host memory only.
"""

import threading
from collections.abc import Sequence

import torch
import xxhash

from transport.base import Region
from transport.errors import TransferRefusedError


class HostPages:
    """Bytes of published pages. Thread-safe."""

    def __init__(self, pool: Region, page_bytes: int) -> None:
        self.page_bytes = page_bytes
        self._pool = pool
        self._direct = host_view(pool) if pool.device.type == "cpu" else None
        self._copies: dict[str, dict[int, memoryview]] = {}
        self._lock = threading.Lock()

    def add(self, handle_id: str, pages: Sequence[int]) -> list[int]:
        """Make pages readable; their digests."""
        if self._direct is None and pages:
            whole = self._pool.tensor.view(-1, self.page_bytes)
            index = torch.tensor(list(pages), dtype=torch.long, device=whole.device)
            copied = host_view(Region(whole[index].cpu().flatten()))
            views = {page: self._slice(copied, place) for place, page in enumerate(pages)}
            with self._lock:
                self._copies.setdefault(handle_id, {}).update(views)
        return [xxhash.xxh3_64_intdigest(self.view(handle_id, page)) for page in pages]

    def view(self, handle_id: str, page: int) -> memoryview:
        """Bytes of a published page. Raises TransferRefusedError when it is not published any more."""
        if self._direct is not None:
            return self._slice(self._direct, page)
        with self._lock:
            view = self._copies.get(handle_id, {}).get(page)
        if view is None:
            raise TransferRefusedError(f"page {page} was released while it was being read")
        return view

    def drop(self, handle_id: str) -> None:
        """Forget a handle's copies."""
        with self._lock:
            self._copies.pop(handle_id, None)

    def _slice(self, memory: memoryview, place: int) -> memoryview:
        return memory[place * self.page_bytes : (place + 1) * self.page_bytes]


def host_view(region: Region) -> memoryview:
    """A CPU region as writable bytes."""
    return memoryview(region.tensor.numpy().data).cast("B")
