"""What a process keeps over many rounds: descriptors, threads, memory."""

import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.rig import ViolationError
from tests.transport.peers import PeerProcess

CLOSING_S = 10.0  # sockets are closed behind the scenes, those of a stopped peer after its silence
GROWTH = 1.10
KEEPS_MIB = 16  # of memory that an allocator does not give back
SETTLING_S = 2.0  # until what a failure replaced has ended
COLD_FDS = 4  # connections that a library's pool may still come to need before it is warm; afterwards none
# The store's client pools connections to its servers: as many as calls at once, closed when idle for a minute.
POOLED_AT_REST = 2
POOL_CLOSING_S = 90.0


class Leaks:
    """A process that is to survive. It has served once, or often enough to be warm: then the least it has counts.

    `pools_to` are ports to which it keeps a pool of connections, which are counted apart.
    """

    def __init__(self, survivor: PeerProcess, *, warm: bool, pools_to: Sequence[int] = ()) -> None:
        self._spare_fds = 0 if warm else COLD_FDS
        self._survivor, self._pooled = survivor, tuple(f", {port})" for port in pools_to)
        self._closing_s = POOL_CLOSING_S if pools_to else CLOSING_S
        self._first, self._open = self._look()
        until_s = time.monotonic() + SETTLING_S
        while warm and time.monotonic() < until_s:
            now, self._open = self._look()
            self._first = {name: min(value, self._first[name]) for name, value in now.items()}
        self._last = self._first

    def check(self) -> None:
        """Raises ViolationError when it has more than at first, and does not let go of it."""
        until_s = time.monotonic() + self._closing_s
        self._last, opened = self._look()
        while self._grown() and time.monotonic() < until_s:
            self._last, opened = self._look()
        if self._grown():
            new, gone = ", ".join((opened - self._open).elements()), ", ".join((self._open - opened).elements())
            raise ViolationError(f"a survivor has grown: {self}; new are {new}; gone are {gone}")

    def _look(self) -> tuple[dict[str, float], Counter[str]]:
        """What it has now, and its descriptors."""
        descriptors: list[str] = self._survivor.do("descriptors")
        pooled = sum(one.endswith(self._pooled) for one in descriptors) if self._pooled else 0
        state: dict[str, float] = self._survivor.do("state")
        return {**state, "fds": len(descriptors) - pooled, "pooled": pooled}, Counter(descriptors)

    def _grown(self) -> bool:
        first, last = self._first, self._last
        return (
            last["fds"] > first["fds"] + self._spare_fds
            or last["pooled"] > POOLED_AT_REST
            or last["threads"] > first["threads"]
            or last["rss_mib"] > first["rss_mib"] * GROWTH + KEEPS_MIB
        )

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.0f} to {self._last[name]:.0f}" for name, value in self._first.items())
