"""One transfer out of Mooncake's store: pages are looked for by key, checked, and copied to where they are to land.

A holder copies beside its engine, so a page may be announced a moment before it is there; and a page that was given
back is there no more. The holder's progress, a generation that it tells in the store, says which; where none is told
there is no holder.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from transport.base import FetchRequest, PageCopy
from transport.errors import LeaseEndedError, PeerLostError, TransferCorruptError
from transport.mooncake_store_address import StoreAddress
from transport.mooncake_store_client import Native, StoreClient
from transport.reading import check_digests, remaining_s

STALL_S = 4.0  # a holder or a master that says nothing, over all looks since its last word
ABSENT_S = 4.5  # a page that was announced and is not there
LOOK_AGAIN_S = 0.01
UNTOLD_S = 0.2  # the progress is missing while it is replaced, for as long as its holder waits for a core then
PRESENT = 1  # of Mooncake's answers; 0 is absent, less an error


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A page of the request, its `index` there, and where it lands."""

    index: int
    page: int
    place: int
    generation: int
    key: str


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look found: views by key, in the client's memory, and the holder's progress if it tells one."""

    views: dict[str, memoryview]
    progress: int | None


class StorePull:
    """Brings a request's pages here with a client, at most `pages_at_once` of them in its memory. Used once."""

    def __init__(
        self,
        client: StoreClient,
        request: FetchRequest,
        cancelled: threading.Event,
        *,
        digests: bool,
        pages_at_once: int,
    ) -> None:
        self._client, self._request, self._cancelled = client, request, cancelled
        self._digests, self._pages_at_once = digests, pages_at_once
        self._target = StoreAddress.parse(request.address)
        pages = [(copy.page + at, copy.place + at) for copy in request.copies for at in range(copy.count)]
        self._wanted = [
            _Wanted(index, page, place, generation, self._target.page_key(page, generation))
            for index, ((page, place), generation) in enumerate(zip(pages, request.generations, strict=True))
        ]

    def run(self) -> None:
        """Raises TransportError. Nothing is written to the landing memory afterwards."""
        for start in range(0, len(self._wanted), self._pages_at_once):
            self._bring(self._wanted[start : start + self._pages_at_once])

    def _bring(self, wanted: Sequence[_Wanted]) -> None:
        """Pages that fit into the client's memory together."""
        heard_s = time.monotonic()
        progress, told_s, absent_until_s = 0, heard_s, heard_s + ABSENT_S
        while True:
            before = len(wanted)
            wanted, told = self._land_found(wanted, max(LOOK_AGAIN_S, heard_s + STALL_S - time.monotonic()))
            if not wanted:
                return
            if told is not None or len(wanted) < before:
                heard_s = time.monotonic()
            if told is not None:
                told_s = time.monotonic()
            elif time.monotonic() > told_s + UNTOLD_S:
                raise PeerLostError(f"{self._target.prefix}: the holder is not in Mooncake's store any more")
            # A page that had been copied before this look, and that it did not find, is gone.
            ended = [one.page for one in wanted if one.generation <= progress]
            if ended or time.monotonic() > absent_until_s:
                raise LeaseEndedError(
                    f"page {ended[0] if ended else wanted[0].page} is not in Mooncake's store: it was given back, or"
                    f" its holder, which puts pages into the store at {self._target.master}, is far behind"
                )
            progress = told or 0
            self._cancelled.wait(LOOK_AGAIN_S)

    def _land_found(self, wanted: Sequence[_Wanted], patience_s: float) -> tuple[list[_Wanted], int | None]:
        """One look. What it did not find, and the holder's progress then."""
        with self._client.reading(self._left_s):
            found = self._client.call(partial(self._look, wanted), patience_s=patience_s, left_s=self._left_s)
            for one in wanted:
                if one.key in found.views:
                    self._land_or_miss(one, found.views[one.key], patience_s)
        return [one for one in wanted if one.key not in found.views], found.progress

    def _land_or_miss(self, one: _Wanted, view: memoryview, patience_s: float) -> None:
        """Land a page. One that was given back while it was read is no corrupt one: the store used its memory again."""
        try:
            self._land(one, view)
        except TransferCorruptError:
            look = partial(self._present, keys=[one.key])
            if self._client.call(look, patience_s=patience_s, left_s=self._left_s):
                raise
            raise LeaseEndedError(f"page {one.page} was given back while it was read") from None

    def _left_s(self) -> float:
        return remaining_s(self._request, self._cancelled)

    def _look(self, wanted: Sequence[_Wanted], native: Native) -> _Found:
        """In a thread of the client. Raises PeerLostError."""
        keys = list(dict.fromkeys(one.key for one in wanted))
        there = self._present(native, keys)
        handles = native.batch_get_buffer(there) if there else []
        views = {key: memoryview(handle) for key, handle in zip(there, handles, strict=True) if handle is not None}
        unread = [key for key in there if key not in views]
        if unread and self._present(native, unread):
            raise PeerLostError(
                f"{self._target.prefix}: pages are known to Mooncake's store and cannot be read: their holder has"
                " stopped or went away"
            )
        told = native.get(self._target.progress_key) if len(views) < len(keys) else b""
        return _Found(views, int(told) if told.isdigit() else None)

    def _present(self, native: Native, keys: Sequence[str]) -> list[str]:
        states = native.batch_is_exist(list(keys))
        if any(state < 0 for state in states):
            raise PeerLostError(f"the master of Mooncake's store does not answer (error {min(states)})")
        return [key for key, state in zip(keys, states, strict=True) if state == PRESENT]

    def _land(self, one: _Wanted, view: memoryview) -> None:
        """Check a page where the client has it, then copy it."""
        size = self._request.page_bytes
        if view.nbytes != size:
            raise TransferCorruptError(f"page {one.index} of the transfer has {view.nbytes} B, not {size}")
        if self._digests:
            check_digests(self._request, view, one.index, PageCopy(one.page, 0, 1))
        target = self._request.into.tensor[one.place * size : (one.place + 1) * size]
        target.copy_(torch.frombuffer(view, dtype=torch.uint8))
