"""Places for pages in a reader's memory: free, held, or quarantined. Pure bookkeeping, one owner.

A place that a failed transfer may still write to is quarantined until that transfer is known to be over.
"""

import bisect
import threading
from collections.abc import Iterable, Sequence


class Landing:
    """`num_places` places, each for a page."""

    def __init__(self, num_places: int) -> None:
        self.num_places = num_places
        self._free = list(range(num_places))  # ascending, so that neighbours are given out together
        self._quarantined: list[tuple[tuple[int, ...], tuple[threading.Event, ...]]] = []

    @property
    def free_places(self) -> int:
        """Places that may be given out."""
        self._lift()
        return len(self._free)

    @property
    def quarantined_places(self) -> int:
        """Places that a transfer may still write to."""
        self._lift()
        return sum(len(places) for places, _ in self._quarantined)

    def reserve(self, count: int) -> list[int] | None:
        """`count` places, lowest first; None when so many are not free."""
        self._lift()
        if count > len(self._free):
            return None
        places, self._free = self._free[:count], self._free[count:]
        return places

    def free(self, places: Iterable[int]) -> None:
        """Give places back."""
        for place in places:
            bisect.insort(self._free, place)

    def quarantine(self, places: Sequence[int], settled: Sequence[threading.Event]) -> None:
        """Give places back once every transfer that may write to them is over."""
        self._quarantined.append((tuple(places), tuple(settled)))

    def _lift(self) -> None:
        waiting = []
        for places, settled in self._quarantined:
            if all(event.is_set() for event in settled):
                self.free(places)
            else:
                waiting.append((places, settled))
        self._quarantined = waiting
