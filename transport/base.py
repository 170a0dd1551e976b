"""The transport contract: who allocates, who announces, who pulls.

A holder allocates its pool through the transport and serves it; what it gets back (`transport.holder`) publishes pages
under a handle as they become final and opens one grant a reader. A reader allocates landing memory through the
transport and fetches with a grant's token.
Every method may be called from any thread; `fetch` blocks until done or until its deadline.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from bagel.kv_layout import PageRun

if TYPE_CHECKING:
    from transport.holder import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an implementation can do."""

    name: str
    secure: bool  # a reader reaches only what its grant names


@dataclass(frozen=True, slots=True)
class Region:
    """Memory that a transport allocated; `tensor` [num_bytes] uint8 is its only view."""

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
    """Where a holder's pages can be fetched."""

    transport: str
    address: str
    secure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """Pages to pull. They land one after another at the start of `into`, in the order of `runs`."""

    address: str
    epoch: int
    token: bytes
    runs: Sequence[PageRun]
    digests: Sequence[int]  # one a page, xxh3-64
    page_bytes: int
    into: Region
    deadline_s: float  # time.monotonic()


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What moved."""

    pages: int
    num_bytes: int
    seconds: float


class Transport(Protocol):
    """One way to move pages."""

    @property
    def capabilities(self) -> Capabilities:
        """What this implementation can do."""
        ...

    def allocate(self, num_bytes: int, device: torch.device) -> Region:
        """Memory for a pool or for landing pages, in a form this transport can reach. Lives as long as the region."""
        ...

    def serve(self, pool: Region, *, page_bytes: int, epoch: int) -> "Holder":
        """Start serving a pool; what publishes its pages. Once."""
        ...

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        """Pull pages and check their digests. Raises TransportError; nothing is written to `into` afterwards."""
        ...

    def close(self) -> None:
        """Stop serving and free what the transport holds. Regions stay valid."""
        ...
