"""The reader's side that the planes share: bounds, deadlines, digests, generations."""

import threading
import time
from collections.abc import Sequence

import xxhash
from torch import Tensor

from transport.base import FetchRequest, Generations, PageCopy, Region, pieces
from transport.errors import (
    LeaseEndedError,
    TransferCancelledError,
    TransferCorruptError,
    TransferRefusedError,
    TransferTimeoutError,
)


def check_request(request: FetchRequest, *, digests: bool, generations: bool) -> int:
    """Pages to fetch. Raises TransferRefusedError when they do not fit, or what they are checked by does not."""
    size = request.page_bytes
    for copy in request.copies:
        if copy.count < 1 or copy.page < 0 or copy.place < 0:
            raise TransferRefusedError(f"pages {copy.page} to {copy.page + copy.count - 1} are none")
        if (copy.place + copy.count) * size > request.into.num_bytes:
            raise TransferRefusedError(
                f"pages of {size} B at place {copy.place + copy.count - 1} do not fit into"
                f" {request.into.num_bytes} B of landing memory"
            )
    count = request.num_pages
    if digests and len(request.digests) != count:
        raise TransferRefusedError(f"{len(request.digests)} digests for {count} pages")
    if generations and len(request.generations) != count:
        raise TransferRefusedError(f"{len(request.generations)} generations for {count} pages")
    return count


def remaining_s(request: FetchRequest, cancelled: threading.Event) -> float:
    """Seconds left. Raises when none are, or when the reader gave up."""
    if cancelled.is_set():
        raise TransferCancelledError("the transfer was cancelled")
    left = request.deadline_s - time.monotonic()
    if left <= 0:
        raise TransferTimeoutError("the deadline passed before every page had arrived")
    return left


def check_digests(request: FetchRequest, landed: memoryview, index: int, piece: PageCopy) -> None:
    """Check a landed piece, whose first page is the request's page `index`, against what its holder announced."""
    size = request.page_bytes
    for offset in range(piece.count):
        place = piece.place + offset
        if xxhash.xxh3_64_intdigest(landed[place * size : (place + 1) * size]) != request.digests[index + offset]:
            raise TransferCorruptError(f"page {index + offset} of the transfer does not match its digest")


def check_all_digests(request: FetchRequest, memory: Tensor) -> None:
    """Check every page of a request where it lies in `memory` [places * page bytes] uint8, on the CPU."""
    if len(request.digests) != request.num_pages:
        raise TransferRefusedError(f"{len(request.digests)} digests for {request.num_pages} pages")
    landed = memoryview(memory.numpy().data).cast("B")
    for index, piece in pieces(request.copies, max(1, request.num_pages)):
        check_digests(request, landed, index, piece)


def check_generations(table: Generations, pages: Sequence[int], generations: Sequence[int]) -> None:
    """Raise LeaseEndedError unless every page is still the publication that was announced."""
    for page, generation in zip(pages, generations, strict=True):
        if page >= len(table):
            raise TransferRefusedError(f"page {page} lies beyond the holder's {len(table)} pages")
        if generation == 0 or int(table[page]) != generation:
            raise LeaseEndedError(f"page {page} was given back before it had been read")


def host_view(region: Region) -> memoryview:
    """A CPU region as writable bytes."""
    return memoryview(region.tensor.numpy().data).cast("B")
