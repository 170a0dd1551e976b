"""The transport contract: who holds pages, who announces them, who pulls.

A `Holder` (`transport.holder`) publishes pages under a handle as they become final, opens one grant a reader, renews
and closes grants, and releases the handle. It is served by any number of data planes, each a file of this package
behind `DataPlane`. A reader pulls with a grant's token, into its own landing memory (`fetch`) or, on one host, by
looking at the holder's pages where they lie (`attach`). Leases, grants and announcements travel on gRPC
(`bagel.v1.KvSource`), once for all planes.
Every method may be called from any thread; `fetch` blocks until done or until its deadline.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bagel.kv_layout import PageRun

if TYPE_CHECKING:
    from transport.holder import Holder

Generations: TypeAlias = NDArray[np.uint64]  # one a page of a pool; 0 while the page is not published


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a data plane can do."""

    name: str
    secure: bool  # a reader reaches only what its grant names
    zero_copy: bool = False  # readers on the same host may look at pages where they lie
    max_slices: int | None = None  # pieces of one transfer
    device_memory: bool = False  # reaches GPU memory by pointer
    digests: bool = True  # checks pages by digest: their bytes travel; else by generation


@dataclass(frozen=True, slots=True)
class Region:
    """Memory that a reader or a holder owns; `tensor` [num_bytes] uint8 is its only view."""

    tensor: Tensor

    @property
    def num_bytes(self) -> int:
        """Size in bytes."""
        return self.tensor.numel()

    @property
    def address(self) -> int:
        """First byte, in the address space of `device`."""
        return self.tensor.data_ptr()

    @property
    def device(self) -> torch.device:
        """Where the memory is."""
        return self.tensor.device


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a holder's pages can be had."""

    transport: str
    address: str
    secure: bool


@dataclass(frozen=True, slots=True)
class PageCopy:
    """`count` neighbouring pages of the holder that land on as many neighbouring places of the reader."""

    page: int
    place: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """Pages to pull, and where they land in `into`."""

    address: str
    epoch: int
    token: bytes
    copies: Sequence[PageCopy]
    # One a page, in the order of `copies`: xxh3-64, or none where the plane checks generations instead.
    digests: Sequence[int]
    generations: Sequence[int]
    page_bytes: int
    into: Region
    deadline_s: float  # time.monotonic()

    @property
    def num_pages(self) -> int:
        """Pages asked for."""
        return sum(copy.count for copy in self.copies)


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What moved."""

    pages: int
    num_bytes: int
    seconds: float


class AttachedPool(Protocol):
    """A holder's whole pool, read where it lies."""

    @property
    def pages(self) -> Tensor:
        """[num_pages * page_bytes] uint8. Never written."""
        ...

    def check(self, pages: Sequence[int], generations: Sequence[int]) -> None:
        """Call after reading. Raises LeaseEndedError when a page was given back meanwhile."""
        ...


class DataPlane(Protocol):
    """One way to move pages."""

    @property
    def capabilities(self) -> Capabilities:
        """What this plane can do."""
        ...

    def serve(self, holder: "Holder") -> Endpoint:
        """Start serving a holder's pages. Once."""
        ...

    def unreachable(self, address: str) -> str | None:
        """Why pages at an endpoint's address cannot be had from here; None when they can, as far as known."""
        ...

    def attach(self, request: FetchRequest) -> AttachedPool | None:
        """The holder's pool, where the plane is zero-copy; None elsewhere. Raises TransportError."""
        ...

    def prepare(self, landing: Region) -> None:
        """Make landing memory known to the plane, before the first fetch into it."""
        ...

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        """Pull pages and check them. Raises TransportError, whose `settled` says when nothing writes any more."""
        ...

    def close(self) -> None:
        """Stop serving and free what the plane holds. Regions stay valid."""
        ...


@runtime_checkable
class KeepsCopies(Protocol):
    """A data plane that readers get pages from elsewhere than from the holder's pool, so it is told of changes."""

    def refresh(self, published: Sequence[int]) -> None:
        """Pages were published, with these generations, or given back: the pool says which. Returns at once."""
        ...


def page_copies(pages: Sequence[int], places: Sequence[int]) -> list[PageCopy]:
    """Coalesce pages and the places they land on, in order, into copies of neighbours on both sides."""
    copies: list[PageCopy] = []
    for page, place in zip(pages, places, strict=True):
        last = copies[-1] if copies else None
        if last and last.page + last.count == page and last.place + last.count == place:
            copies[-1] = PageCopy(last.page, last.place, last.count + 1)
        else:
            copies.append(PageCopy(page, place, 1))
    return copies


def in_order(runs: Sequence[PageRun]) -> list[PageCopy]:
    """Copies of runs that land one after another from place 0 on."""
    copies, place = [], 0
    for run in runs:
        copies.append(PageCopy(run.start, place, run.count))
        place += run.count
    return copies


def pieces(copies: Sequence[PageCopy], most: int) -> list[tuple[int, PageCopy]]:
    """Copies cut into pieces of at most `most` pages, each with the index of its first page in the request."""
    cut, index = [], 0
    for copy in copies:
        for offset in range(0, copy.count, most):
            count = min(most, copy.count - offset)
            cut.append((index, PageCopy(copy.page + offset, copy.place + offset, count)))
            index += count
    return cut
