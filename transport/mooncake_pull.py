"""One transfer over Mooncake: header and generations, pages, generations again, each checked as it comes.

A holder is not asked who reads, so the reader itself looks whether its pages are still the ones that were announced.
The engine's calls block, so they run in a thread of their own that nobody has to wait for.
"""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bagel.errors import ConfigError
from bagel.kv_layout import PageRun, pages_of
from transport.base import FetchRequest, Generations, PageCopy, Region, pieces
from transport.errors import (
    PeerLostError,
    StaleEpochError,
    TransferCorruptError,
    TransferRefusedError,
    TransportError,
)
from transport.mooncake_engines import Engines, Lease
from transport.mooncake_peer import Address
from transport.pool import GENERATIONS_AT, PoolLayout
from transport.reading import check_digests, check_generations, host_view, remaining_s

MAX_SLICES = 1000  # of one call: a batch over 2,048 fails in silence
SLICE_BYTES = 8 << 20  # of one slice, so that a long run goes over several connections
CALL_BYTES = 32 << 20  # of one call, unless one page is larger: between two looks at deadline and cancellation
ANSWER_S = 4.0  # for a few kilobytes, connecting included
POLL_S = 0.05
BEFORE, AFTER = 0, 1  # the pages


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call to the engine reads: pieces of pages, or where there are none the pool's head, to `head`."""

    pieces: Sequence[tuple[int, PageCopy]] = ()
    head: int = BEFORE


class Pull:
    """Brings a request's pages here. `closed` is set when the plane goes away. Used once."""

    def __init__(
        self,
        engines: Engines,
        request: FetchRequest,
        cancelled: threading.Event,
        closed: threading.Event,
        *,
        digests: bool,
    ) -> None:
        self._engines, self._request = engines, request
        self._cancelled, self._closed, self._digests = cancelled, closed, digests
        self._target = Address.parse(request.address)
        self._expected = PoolLayout(request.epoch, request.page_bytes, self._target.num_pages)
        self._heads = torch.empty((2, GENERATIONS_AT + 8 * self._target.num_pages), dtype=torch.uint8)
        self._pages = pages_of([PageRun(copy.page, copy.count) for copy in request.copies])
        self._announced: Sequence[int] = request.generations
        self._outcomes: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._settled = threading.Event()
        self._lock = threading.Lock()
        self._stopped = self._landing = False

    def run(self) -> None:
        """Raises TransportError; its `settled` is set where pages may have been on their way here."""
        last = max(self._pages, default=0)
        if last >= self._target.num_pages:
            raise TransferRefusedError(f"page {last} lies beyond the holder's {self._target.num_pages} pages")
        lease = self._borrow()
        calls = [_Call(head=BEFORE), *_calls(self._request), _Call(head=AFTER)]
        self._engines.start(lambda: self._work(lease, calls), "kv-mooncake-pull")
        try:
            for call in calls:
                self._await(lease, hurried=not call.pieces)
                self._check(call)
        except TransportError as error:
            with self._lock:
                self._stopped = True
                if self._landing:
                    error.settled = self._settled
            raise

    def _borrow(self) -> Lease:
        try:
            lease = self._engines.borrow(self._request.address)
            try:
                lease.engine.register(self._scratch())
            except ConfigError:
                self._engines.give_back(lease, self._settled, clean=True, written=self._heads)
                raise
        except ConfigError as error:
            raise PeerLostError(f"{self._request.address}: no engine to read it with: {error}") from error
        return lease

    def _scratch(self) -> Region:
        return Region(self._heads.view(-1))

    def _work(self, lease: Lease, calls: Sequence[_Call]) -> None:
        """The thread's part: call after call, until one fails or nobody wants them any more."""
        clean = True
        try:
            for call in calls:
                with self._lock:
                    if self._stopped:
                        break
                    self._landing = self._landing or bool(call.pieces)
                clean = False
                outcome = lease.engine.read(self._target.peer, *self._slices(call))
                clean = outcome == 0
                self._outcomes.put(outcome)
                if not clean:
                    break
            if clean:
                lease.engine.unregister(self._scratch())
        finally:
            self._engines.give_back(lease, self._settled, clean=clean, written=self._heads)

    def _slices(self, call: _Call) -> tuple[list[int], list[int], list[int]]:
        """Local addresses, remote addresses, lengths in bytes."""
        if not call.pieces:
            head = self._heads[call.head]
            return [head.data_ptr()], [self._target.base], [head.numel()]
        size, into = self._request.page_bytes, self._request.into.address
        pages_at = self._target.base + self._expected.pages_at
        copies = [piece for _, piece in call.pieces]
        return (
            [into + copy.place * size for copy in copies],
            [pages_at + copy.page * size for copy in copies],
            [copy.count * size for copy in copies],
        )

    def _await(self, lease: Lease, *, hurried: bool) -> None:
        """Wait for the next call's outcome. A hurried one is small: silence means that the holder has stopped."""
        patience_s = time.monotonic() + (ANSWER_S if hurried else float("inf"))
        while True:
            left_s = remaining_s(self._request, self._cancelled)
            if self._closed.is_set():
                raise PeerLostError("the mooncake transport was closed while pages were on their way")
            if time.monotonic() > patience_s:
                self._engines.retire(lease)
                raise PeerLostError(f"{self._request.address}: no answer within {ANSWER_S:.0f} s")
            try:
                outcome = self._outcomes.get(timeout=min(left_s, POLL_S))
            except queue.Empty:
                continue
            if outcome != 0:
                raise PeerLostError(
                    f"{self._request.address}: the transfer failed (Mooncake's {outcome}): the holder went away, has"
                    " stopped, or lies behind a link too slow for MC_TRANSFER_TIMEOUT"
                )
            return

    def _check(self, call: _Call) -> None:
        if not call.pieces:
            self._check_head(call.head)
        elif self._digests:
            for index, piece in call.pieces:
                size = self._request.page_bytes
                # A piece on a GPU is hashed in a copy; one on the CPU where it lies.
                landed = self._request.into.tensor[piece.place * size : (piece.place + piece.count) * size].cpu()
                check_digests(self._request, host_view(Region(landed)), index, PageCopy(piece.page, 0, piece.count))

    def _check_head(self, when: int) -> None:
        """Whether this is the holder's pool, in the life that was announced, and the pages are still published."""
        head = self._heads[when].numpy()
        found = PoolLayout.unpack(head[:GENERATIONS_AT].tobytes())
        if found.epoch != self._expected.epoch:
            raise StaleEpochError(f"the handle is of epoch {self._expected.epoch}, the holder lives in {found.epoch}")
        if found != self._expected:
            raise TransferCorruptError(
                f"the holder has {found.num_pages} pages of {found.page_bytes} B, not"
                f" {self._expected.num_pages} of {self._expected.page_bytes}"
            )
        table: Generations = np.frombuffer(head, np.uint64, self._target.num_pages, GENERATIONS_AT)
        if when == BEFORE and not self._announced:
            # What was announced is told by digests alone; then at least nothing may change meanwhile.
            self._announced = [int(table[page]) for page in self._pages]
        check_generations(table, self._pages, self._announced)


def _calls(request: FetchRequest) -> list[_Call]:
    """The pages in calls of at most CALL_BYTES and MAX_SLICES."""
    calls: list[list[tuple[int, PageCopy]]] = []
    room = 0
    for index, piece in pieces(request.copies, max(1, SLICE_BYTES // request.page_bytes)):
        size = piece.count * request.page_bytes
        if size > room or len(calls[-1]) == MAX_SLICES:
            calls.append([])
            room = CALL_BYTES
        calls[-1].append((index, piece))
        room -= size
    return [_Call(tuple(call)) for call in calls]
