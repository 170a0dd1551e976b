"""The engines that a process reads with: one a holder, replaced after any failure.

A holder that stops takes its own engine with it and nobody else's, and no engine outlives what it knew of a holder.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from transport.base import Region
from transport.mooncake_engine import Engine

MAX_HOLDERS = 16  # remembered while nobody reads from them
END_PATIENCE_S = 8.0


@dataclass(slots=True)
class Lease:
    """An engine that reads from one holder, and who waits for its end."""

    engine: Engine
    holder: str
    users: int = 0
    retired: bool = False
    unsettled: list[threading.Event] = field(default_factory=list)
    written: list[Tensor] = field(default_factory=list)  # memory that must not go before the engine


class Engines:
    """Engines by holder, each of which knows all landing memory, and the threads at work with them. Thread-safe."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._landings: list[Region] = []
        self._leases: dict[str, Lease] = {}  # least recently borrowed first
        self._threads: list[threading.Thread] = []
        self._hurry = threading.Event()
        self._lock = threading.Lock()

    def add(self, landing: Region) -> None:
        """Make landing memory known to every engine, present and future. Raises ConfigError."""
        with self._lock:
            if self._covers(landing):
                return
            self._landings.append(landing)
            for lease in self._leases.values():
                lease.engine.register(landing)

    def covers(self, region: Region) -> bool:
        """Whether the memory is, or is part of, landing memory that was added."""
        with self._lock:
            return self._covers(region)

    def knows(self, holder: str) -> bool:
        """Whether an engine reads from this holder and has not failed."""
        with self._lock:
            return holder in self._leases

    def borrow(self, holder: str) -> Lease:
        """An engine for one transfer from a holder. Raises ConfigError."""
        with self._lock:
            lease = self._leases.pop(holder, None) or self._new(holder)
            self._leases[holder] = lease
            lease.users += 1
            idle = [one for one in self._leases.values() if not one.users]
            for one in idle[: max(0, len(self._leases) - MAX_HOLDERS)]:
                self._retire(one)
            return lease

    def give_back(self, lease: Lease, settled: threading.Event, *, clean: bool, written: Tensor) -> None:
        """The transfer is over. Sets `settled` once nothing of it is written any more, to its landing or `written`."""
        with self._lock:
            lease.users -= 1
            if clean:
                settled.set()
            else:
                lease.unsettled.append(settled)
                lease.written.append(written)
            if lease.retired or not clean:
                self._retire(lease)

    def retire(self, lease: Lease) -> None:
        """Lend this engine to nobody any more; it ends after its last user."""
        with self._lock:
            self._retire(lease)

    def idle(self) -> list[str]:
        """Holders that nobody reads from now."""
        with self._lock:
            return [holder for holder, lease in self._leases.items() if not lease.users]

    def forget(self, holder: str) -> None:
        """End a holder's engine if nobody reads with it now."""
        with self._lock:
            lease = self._leases.get(holder)
            if lease is not None and not lease.users:
                self._retire(lease)

    def start(self, work: Callable[[], None], name: str) -> None:
        """Run in a thread that `close` waits for."""
        with self._lock:
            self._start(work, name)

    def close(self) -> None:
        """End every engine and wait for every thread, for one that hangs in the engine no longer than a few seconds."""
        self._hurry.set()
        with self._lock:
            for lease in list(self._leases.values()):
                self._retire(lease)
        until_s = time.monotonic() + END_PATIENCE_S
        while (left_s := until_s - time.monotonic()) > 0:
            with self._lock:
                alive = next((thread for thread in self._threads if thread.is_alive()), None)
            if alive is None:
                return
            alive.join(left_s)

    def _covers(self, region: Region) -> bool:
        return any(
            known.device == region.device
            and known.address <= region.address
            and region.address + region.num_bytes <= known.address + known.num_bytes
            for known in self._landings
        )

    def _new(self, holder: str) -> Lease:
        engine = self._make()
        for landing in self._landings:
            engine.register(landing)
        return Lease(engine, holder)

    def _retire(self, lease: Lease) -> None:
        lease.retired = True
        if self._leases.get(lease.holder) is lease:
            del self._leases[lease.holder]
        if lease.users == 0:
            self._start(lambda: self._end(lease), "kv-mooncake-end")

    def _end(self, lease: Lease) -> None:
        lease.engine.end(self._hurry)
        for settled in lease.unsettled:
            settled.set()

    def _start(self, work: Callable[[], None], name: str) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
