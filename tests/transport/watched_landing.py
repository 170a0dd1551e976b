"""A reader's landing memory under guard: every free place is a canary, so a byte that is written late or astray shows.

Who gets which place, and when it is free again, the DiT's own `LandingMemory` decides.
"""

import threading
from collections.abc import Iterable

import torch

from services.dit.pulling import LandingMemory
from transport.base import Region

CANARY = 0xA5
CANARIES = int.from_bytes(bytes([CANARY] * 8), "little", signed=True)


class WatchedLanding:
    """Places for pages, of some multiple of 8 bytes, in `region`. Nobody may write to a place while it is free."""

    def __init__(self, num_places: int, page_bytes: int) -> None:
        self.region = Region(torch.full((num_places * page_bytes,), CANARY, dtype=torch.uint8))
        self._memory = LandingMemory(self.region, page_bytes)
        self._pages = self.region.tensor.view(num_places, page_bytes)
        self._words = self.region.tensor.view(torch.int64).view(num_places, -1)  # faster to compare
        self._canaries = set(range(num_places))
        self._quarantined: list[tuple[list[int], list[threading.Event]]] = []
        self._damage: list[str] = []

    def reserve(self, count: int) -> list[int] | None:
        """Places for pages, canaries still; None when so many are not free."""
        places = self._memory.places.reserve(count)
        self._lift()
        if places is not None:
            self._examine(self._canaries.intersection(places))
            early = sorted(set(places) - self._canaries)
            if early:
                self._damage.append(f"places {early[:8]} were given out while a failed transfer could write to them")
            self._canaries.difference_update(places)
        return places

    def landed(self, places: list[int]) -> int:
        """How many of reserved places a page has come to, to its end."""
        return int((self._words[:, -1][places] != CANARIES).sum())

    def give_back(self, places: list[int], unsettled: list[threading.Event]) -> None:
        """Places of a fetch that has ended; `unsettled` says what may still write to them."""
        self._memory.give_back(places, unsettled)
        if unsettled:
            self._quarantined.append((places, unsettled))
        else:
            self._guard(places)

    def state(self) -> dict[str, int | list[str]]:
        """Places by what they are, and every damage so far. Looks at each free byte."""
        self._lift()
        self._examine(self._canaries)
        places = self._memory.places
        return {
            "places": places.num_places,
            "free": places.free_places,
            "quarantined": places.quarantined_places,
            "damage": self._damage,
        }

    def _lift(self) -> None:
        waiting = []
        for places, unsettled in self._quarantined:
            if all(event.is_set() for event in unsettled):
                self._guard(places)
            else:
                waiting.append((places, unsettled))
        self._quarantined = waiting

    def _guard(self, places: Iterable[int]) -> None:
        for place in places:
            self._pages[place].fill_(CANARY)
            self._canaries.add(place)

    def _examine(self, places: Iterable[int]) -> None:
        changed = [place for place in sorted(places) if not bool((self._words[place] == CANARIES).all())]
        if changed:
            self._damage.append(f"free places {changed[:8]} were written to")
            self._guard(changed)
