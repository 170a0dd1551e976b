"""Where a piece is received: right in the landing memory, or in pinned memory of the host, from which it goes to a GPU.

Copies to a GPU have a stream of their own: they wait for no kernel of an engine, and run while the next piece comes.
"""

from typing import Protocol

import torch

from transport.base import PageCopy, Region
from transport.reading import host_view

RING_BYTES = 16 << 20  # of pinned memory, or two pieces where those are larger


class Receiving(Protocol):
    """Memory for one piece at a time. One owner."""

    def room(self, piece: PageCopy) -> memoryview:
        """Where the next piece is to be written."""

    def keep(self, piece: PageCopy) -> None:
        """The piece has come, and is good."""

    def finish(self) -> None:
        """Wait until everything that is kept lies where it belongs, and nothing is on its way any more."""


def receiving(into: Region, page_bytes: int, piece_pages: int) -> Receiving:
    """For pieces of at most `piece_pages` pages."""
    return _Here(into, page_bytes) if into.device.type == "cpu" else _Ring(into, page_bytes, piece_pages)


class _Here:
    """The landing memory itself."""

    def __init__(self, into: Region, page_bytes: int) -> None:
        self._view, self._page_bytes = host_view(into), page_bytes

    def room(self, piece: PageCopy) -> memoryview:
        start = piece.place * self._page_bytes
        return self._view[start : start + piece.count * self._page_bytes]

    def keep(self, piece: PageCopy) -> None:
        """It lies there already."""

    def finish(self) -> None:
        """Nothing is on its way."""


class _Ring:
    """Slots of pinned memory, taken in turn; one is free again when its last copy is over."""

    def __init__(self, into: Region, page_bytes: int, piece_pages: int) -> None:
        self._into, self._page_bytes = into.tensor, page_bytes
        size = page_bytes * piece_pages
        count = max(2, RING_BYTES // size)
        self._slots = [torch.empty(size, dtype=torch.uint8, pin_memory=True) for _ in range(count)]
        self._copied: list[torch.cuda.Event | None] = [None] * count
        # PyTorch deals its streams out in turn, a pool for each priority: an engine's is in the other one.
        self._stream = torch.cuda.Stream(into.device, priority=-1)  # type: ignore[no-untyped-call]
        self._turn = 0

    def room(self, piece: PageCopy) -> memoryview:
        copied = self._copied[self._turn]
        if copied is not None:
            copied.synchronize()
        return host_view(Region(self._slots[self._turn][: piece.count * self._page_bytes]))

    def keep(self, piece: PageCopy) -> None:
        start, size = piece.place * self._page_bytes, piece.count * self._page_bytes
        with torch.cuda.stream(self._stream):
            self._into[start : start + size].copy_(self._slots[self._turn][:size], non_blocking=True)
            self._copied[self._turn] = self._stream.record_event()
        self._turn = (self._turn + 1) % len(self._slots)

    def finish(self) -> None:
        self._stream.synchronize()
