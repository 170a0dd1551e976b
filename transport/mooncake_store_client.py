"""A client of Mooncake's store. Its calls block, for a minute when a server has stopped, so readers call in threads.

Pages come through memory of the client's own: what it may still write after a failure is never ours.
"""

import ctypes
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from bagel.logs import get_logger
from transport.errors import PeerLostError
from transport.mooncake_store_name import free_name

POLL_S = 0.05
ANSWER_S = 2.0  # of a master that lives
READS_AT_ONCE = 3
READ_SHARE = 0.25  # of the buffer: what one read may take
SETUPS = 2  # two that join at once may take the same name

Native = Any  # mooncake.store.MooncakeDistributedStore, which has no types
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What a client is set up with. `metadata_server` is a URL, or P2PHANDSHAKE for none. Sizes in bytes."""

    host: str
    master: str
    metadata_server: str
    protocol: str
    device: str
    segment_bytes: int  # that it lends to the store
    buffer_bytes: int  # that its reads go through


class ClientEndedError(PeerLostError):
    """The client was ended between two calls, for what happened to somebody else."""


class StoreClient:
    """One client, set up at its first call, and closed once it was ended and nobody is in a call. Thread-safe."""

    def __init__(self, module: ModuleType, settings: StoreSettings) -> None:
        self.module, self._settings = module, settings
        self._native: Native = None
        self._setting_up, self._lock = threading.Lock(), threading.Lock()
        self._room = threading.Semaphore(READS_AT_ONCE)
        self._users, self._ended = 0, False

    @contextmanager
    def used(self) -> Iterator[Native]:
        """The client itself, for calls that may block. Raises PeerLostError when it cannot be set up or was ended."""
        with self._lock:
            if self._ended:
                raise ClientEndedError("the client of Mooncake's store was closed")
            self._users += 1
        try:
            with self._setting_up:
                self._native = self._native or self._new()
            yield self._native
        finally:
            with self._lock:
                self._users -= 1
                self._close_if_done()

    @contextmanager
    def reading(self, left_s: Callable[[], float]) -> Iterator[None]:
        """Room in the client's memory for a read. Raises what `left_s` does."""
        while not self._room.acquire(timeout=min(left_s(), POLL_S)):
            pass
        try:
            yield
        finally:
            self._room.release()

    def call(self, work: Callable[[Native], T], *, patience_s: float, left_s: Callable[[], float]) -> T:
        """The result of `work`, which is left alone when it takes too long.

        Raises PeerLostError when patience ends, and what `left_s`, the seconds until the caller's deadline, raises.
        """
        outcomes: queue.SimpleQueue[T | PeerLostError] = queue.SimpleQueue()

        def run() -> None:
            try:
                with self.used() as native:
                    outcomes.put(work(native))
            except PeerLostError as error:
                outcomes.put(error.with_traceback(None))  # its frames hold what was read, and so the client's memory

        threading.Thread(target=run, name="kv-mooncake-store", daemon=True).start()
        until_s = time.monotonic() + patience_s
        while True:
            try:
                outcome = outcomes.get(timeout=min(left_s(), POLL_S))
            except queue.Empty:
                if time.monotonic() < until_s:
                    continue
                raise PeerLostError(f"Mooncake's store did not answer within {patience_s:.1f} s") from None
            if isinstance(outcome, PeerLostError):
                raise outcome
            return outcome

    def answers(self) -> bool:
        """Whether the master does, soon."""
        try:
            known = self.call(lambda native: native.batch_is_exist(["-"]), patience_s=ANSWER_S, left_s=lambda: POLL_S)
        except PeerLostError:
            return False
        return bool(known[0] >= 0)

    def end(self) -> None:
        """Close it as soon as nobody is in a call; waits for nobody. Again is fine."""
        keep_open = self._native is not None and not self.answers()
        with self._lock:
            if keep_open and self._native is not None and not self._ended:
                # With a master that does not answer, closing holds Python's interpreter lock for up to 100 s.
                get_logger().warning("mooncake_store_left_open", master=self._settings.master)
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._native))
                self._native = None
            self._ended = True
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._ended and not self._users and self._native is not None:
            self._native.close()
            self._native = None
            # Its tables, 28 MiB, lay on the heap of whichever thread set it up, and such heaps keep what is freed.
            ctypes.CDLL(None).malloc_trim(0)

    def _new(self) -> Native:
        wanted = self._settings
        code = 0
        for _ in range(SETUPS):
            native = self.module.MooncakeDistributedStore()
            code = native.setup(
                free_name(wanted.host, wanted.metadata_server), wanted.metadata_server, wanted.segment_bytes,
                wanted.buffer_bytes, wanted.protocol, wanted.device, wanted.master,
            )  # fmt: skip
            if code == 0:
                return native
        raise PeerLostError(
            f"Mooncake's store cannot be joined (error {code}) with master {wanted.master} and metadata at"
            f" {wanted.metadata_server}: start both with `bagel mooncake-master`, and see that this host reaches them"
        )
