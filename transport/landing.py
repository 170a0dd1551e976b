"""The reader's side that backends share: bounds, deadlines, digests."""

import threading
import time

import xxhash

from transport.base import FetchRequest
from transport.errors import (
    TransferCancelledError,
    TransferCorruptError,
    TransferRefusedError,
    TransferTimeoutError,
)


def page_count(request: FetchRequest) -> int:
    """Pages to fetch. Raises TransferRefusedError when they do not fit or the digests do not match in number."""
    count = sum(run.count for run in request.runs)
    if count * request.page_bytes > request.into.num_bytes:
        raise TransferRefusedError(
            f"{count} pages of {request.page_bytes} B do not fit into {request.into.num_bytes} B of landing memory"
        )
    if len(request.digests) != count:
        raise TransferRefusedError(f"{len(request.digests)} digests for {count} pages")
    return count


def remaining_s(request: FetchRequest, cancelled: threading.Event) -> float:
    """Seconds left. Raises when none are, or when the reader gave up."""
    if cancelled.is_set():
        raise TransferCancelledError("the transfer was cancelled")
    left = request.deadline_s - time.monotonic()
    if left <= 0:
        raise TransferTimeoutError("the deadline passed before every page had arrived")
    return left


def check_digest(page: memoryview, expected: int, place: int) -> None:
    """Raise TransferCorruptError unless a landed page is what its holder announced."""
    if xxhash.xxh3_64_intdigest(page) != expected:
        raise TransferCorruptError(f"page {place} of the transfer does not match its digest")
