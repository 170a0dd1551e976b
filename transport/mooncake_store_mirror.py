"""The holder's side of Mooncake's store: a thread that keeps the store's copies as the pool's generations say.

Copies are made beside the engine, which never waits for the store. A key names a page and its generation, so what is
found under it is that publication or nothing.
"""

import threading
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from bagel.logs import get_logger
from transport.base import Generations
from transport.errors import PeerLostError
from transport.mooncake_store_address import StoreAddress
from transport.mooncake_store_client import Native, StoreClient
from transport.pool import Pool

BATCH_PAGES = 32  # of one call
RETRY_S = 1.0
STOP_PATIENCE_S = 5.0
NOT_FOUND = -704  # of Mooncake's error codes


class Mirror:
    """Copies a pool's published pages to the store, and removes them when they are given back, until `stop`."""

    def __init__(self, pool: Pool, client: StoreClient, address: StoreAddress) -> None:
        self._pool, self._client, self._address = pool, client, address
        self._copied: Generations = np.zeros_like(pool.generations)
        self._published = self._told = 0  # highest generations
        self._changed, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="kv-mooncake-mirror", daemon=True)
        self._thread.start()

    def refresh(self, published: Sequence[int]) -> None:
        """Look at the pool's generations again. One thread publishes; any may give back."""
        if published:
            self._published = max(self._published, *published)
        self._changed.set()

    def stop(self) -> None:
        """Remove every copy, if the store answers, and end the thread."""
        self._stopped.set()
        self._changed.set()
        self._thread.join(STOP_PATIENCE_S)

    def _run(self) -> None:
        failing = stopping = False
        while not stopping:
            self._changed.wait(RETRY_S if failing else None)
            self._changed.clear()
            stopping = self._stopped.is_set()  # this look is the last one
            try:
                with self._client.used() as native:
                    self._sync(native)
                failing = False
            except PeerLostError as error:
                if not failing:
                    get_logger().warning("mooncake_store_behind", reason=str(error))
                failing = True

    def _sync(self, native: Native) -> None:
        """One look. Raises PeerLostError when the store refuses something."""
        # Read first: what it counts is in the pool's generations by now, or was given back already.
        published, wanted = self._published, self._wanted()
        self._remove_ended(native)
        missing = np.flatnonzero((wanted != 0) & (wanted != self._copied))
        for start in range(0, len(missing), BATCH_PAGES):
            self._copy(native, missing[start : start + BATCH_PAGES], wanted)
            # Pages that were given back meanwhile may have been copied while they changed.
            self._remove_ended(native)
        if published > self._told:
            tell_progress(native, self._client.module, self._address, published)
            self._told = published

    def _wanted(self) -> Generations:
        """Which generation of each page is to be in the store now."""
        return np.zeros_like(self._copied) if self._stopped.is_set() else self._pool.generations.copy()

    def _copy(self, native: Native, pages: NDArray[np.intp], wanted: Generations) -> None:
        base, size = self._pool.host.data_ptr(), self._pool.layout.page_bytes
        keys = [self._address.page_key(int(page), int(wanted[page])) for page in pages]
        addresses = [base + int(page) * size for page in pages]
        codes = native.batch_put_from(keys, addresses, [size] * len(keys), _placement(native, self._client.module))
        done = pages[np.asarray(codes) == 0]
        self._copied[done] = wanted[done]
        _check("copy pages", codes)

    def _remove_ended(self, native: Native) -> None:
        ended = np.flatnonzero((self._copied != 0) & (self._copied != self._wanted()))
        if not len(ended):
            return
        # By force: a reader's lease does not keep the page's bytes from changing.
        codes = native.batch_remove([self._address.page_key(int(p), int(self._copied[p])) for p in ended], True)
        gone = ended[np.isin(codes, (0, NOT_FOUND))]
        self._copied[gone] = 0
        _check("remove pages", [code for code in codes if code != NOT_FOUND])


def tell_progress(native: Native, module: ModuleType, address: StoreAddress, generation: int) -> None:
    """Say that every publication up to a generation was copied or is over. Raises PeerLostError."""
    told = native.upsert(address.progress_key, str(generation).encode(), _placement(native, module))
    _check("tell its progress", [told])


def _placement(native: Native, module: ModuleType) -> object:
    """Copies lie in this process's own segment, and are not evicted."""
    placement = module.ReplicateConfig()
    placement.with_hard_pin = True
    placement.preferred_segment = native.get_hostname()
    return placement


def _check(what: str, codes: list[int]) -> None:
    wrong = sorted({code for code in codes if code != 0})
    if wrong:
        raise PeerLostError(f"Mooncake's store does not let the holder {what} (errors {wrong}; -200 is a full segment)")
