"""What a process keeps over many rounds: descriptors, threads, memory."""

import time
from collections import Counter
from typing import Any

from tests.chaos.rig import ViolationError
from tests.transport.peers import PeerProcess

CLOSING_S = 10.0  # sockets are closed behind the scenes, those of a stopped peer after its silence
GROWTH = 1.10
KEEPS_MIB = 16  # of memory that an allocator does not give back
SETTLING_S = 2.0  # until what a failure replaced has ended
COLD_FDS = 4  # connections that a library's pool may still come to need before it is warm; afterwards none


class Leaks:
    """A process that is to survive. It has served once, or often enough to be warm: then the least it has counts."""

    def __init__(self, survivor: PeerProcess, *, warm: bool) -> None:
        self._spare_fds = 0 if warm else COLD_FDS
        self._survivor = survivor
        self._first: dict[str, Any] = survivor.do("state")
        until_s = time.monotonic() + SETTLING_S
        while warm and time.monotonic() < until_s:
            self._first = {name: min(value, self._first[name]) for name, value in survivor.do("state").items()}
        self._open = Counter(survivor.do("descriptors"))
        self._last = self._first

    def check(self) -> None:
        """Raises ViolationError when it has more than at first, and does not let go of it."""
        until_s = time.monotonic() + CLOSING_S
        self._last = self._survivor.do("state")
        while self._grown() and time.monotonic() < until_s:
            self._last = self._survivor.do("state")
        if self._grown():
            opened = Counter(self._survivor.do("descriptors"))
            new, gone = ", ".join((opened - self._open).elements()), ", ".join((self._open - opened).elements())
            raise ViolationError(f"a survivor has grown: {self}; new are {new}; gone are {gone}")

    def _grown(self) -> bool:
        most_mib = self._first["rss_mib"] * GROWTH + KEEPS_MIB
        more_fds = self._last["fds"] > self._first["fds"] + self._spare_fds
        return more_fds or self._last["threads"] > self._first["threads"] or self._last["rss_mib"] > most_mib

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.0f} to {self._last[name]:.0f}" for name, value in self._first.items())
