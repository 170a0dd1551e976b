"""Mooncake's readers in tests: a plane in this process, and flags that act in the middle of a transfer."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest
import torch

from tests.transport.mooncake_holder import HolderProcess, Published
from transport.base import DataPlane, FetchReport, FetchRequest, Region, page_copies
from transport.errors import TransportError
from transport.mooncake import MooncakePlane

CANARY = 0xA5
PATIENCE_S = 20.0
PAGES, PAGE_BYTES = 64, 65_536
BIG_PAGES, BIG_PAGE_BYTES = 256, 1 << 20  # takes longer than a signal


class Reader:
    """A plane in this process, and its landing memory."""

    def __init__(self, num_bytes: int, plane: DataPlane | None = None) -> None:
        self.plane = plane or MooncakePlane()
        self.into = Region(torch.full((num_bytes,), CANARY, dtype=torch.uint8))
        self.plane.prepare(self.into)

    def request(
        self,
        holder: HolderProcess,
        what: Published,
        places: Sequence[int] | None = None,
        *,
        within_s: float = PATIENCE_S,
    ) -> FetchRequest:
        return FetchRequest(
            address=holder.address,
            epoch=holder.epoch,
            token=b"",
            copies=page_copies(what.pages, range(len(what.pages)) if places is None else places),
            digests=what.digests,
            generations=what.generations,
            page_bytes=holder.page_bytes,
            into=self.into,
            deadline_s=time.monotonic() + within_s,
        )

    def fetch(self, request: FetchRequest, cancelled: threading.Event | None = None) -> FetchReport:
        return self.plane.fetch(request, cancelled or threading.Event())

    def failed(self, request: FetchRequest, cancelled: threading.Event | None = None) -> TransportError:
        with pytest.raises(TransportError) as caught:
            self.fetch(request, cancelled)
        return caught.value

    def check(self, holder: HolderProcess, what: Published, places: Sequence[int] | None = None) -> None:
        """Every page lies where it was to land, and no byte elsewhere was written."""
        size, landed = holder.page_bytes, self.into.tensor
        untouched = torch.ones(landed.numel() // size, dtype=torch.bool)
        for page, place in zip(what.pages, range(len(what.pages)) if places is None else places, strict=True):
            numbers = torch.arange(page * size // 8, (page + 1) * size // 8)
            assert torch.equal(landed[place * size : (place + 1) * size].view(torch.int64), numbers)
            untouched[place] = False
        assert bool((landed.view(-1, size)[untouched] == CANARY).all())

    def wipe(self) -> None:
        self.into.tensor.fill_(CANARY)

    def untouched(self) -> bool:
        return bool((self.into.tensor == CANARY).all())


class Midway(threading.Event):
    """A cancellation flag that does something once, when a fetch looks at it and pages are landing already."""

    def __init__(self, reader: Reader, action: Callable[[], object]) -> None:
        super().__init__()
        self._reader, self._action, self._done = reader, action, False

    def is_set(self) -> bool:
        if not self._done and int(self._reader.into.tensor[0]) != CANARY:
            self._done = True
            self._action()
        return super().is_set()
