"""Places of landing memory: never given out twice, and quarantined until every transfer that may write is over."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from transport.landing import Landing

ACTIONS = ("reserve", "free", "quarantine", "settle")


def test_neighbours_are_given_out_together_and_too_many_not_at_all() -> None:
    landing = Landing(6)
    assert landing.reserve(4) == [0, 1, 2, 3]
    assert landing.reserve(3) is None
    landing.free([1, 2])
    assert landing.reserve(3) == [1, 2, 4]


def test_a_quarantined_place_comes_back_once_all_its_transfers_are_over() -> None:
    landing, first, second = Landing(3), threading.Event(), threading.Event()
    places = landing.reserve(2)
    assert places is not None
    landing.quarantine(places, [first, second])
    first.set()
    assert (landing.free_places, landing.quarantined_places, landing.reserve(2)) == (1, 2, None)
    second.set()
    assert landing.reserve(3) == [0, 1, 2]
    assert landing.quarantined_places == 0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["reserve", "free", "quarantine", "settle"]), st.integers(0, 8)), max_size=60)
)
def test_every_place_is_free_held_or_quarantined_and_never_two_of_them(actions: list[tuple[str, int]]) -> None:
    landing = Landing(20)
    held: list[list[int]] = []
    quarantined: list[tuple[list[int], threading.Event]] = []
    for action, number in actions:
        match action:
            case "reserve":
                places = landing.reserve(number)
                if places is not None:
                    assert not {p for own in held for p in own} & set(places)
                    assert not {p for own, _ in quarantined for p in own} & set(places)
                    held.append(places)
            case "free" if held:
                landing.free(held.pop(number % len(held)))
            case "quarantine" if held:
                own, event = held.pop(number % len(held)), threading.Event()
                quarantined.append((own, event))
                landing.quarantine(own, [event])
            case "settle" if quarantined:
                quarantined.pop(number % len(quarantined))[1].set()
        assert landing.quarantined_places == sum(len(own) for own, _ in quarantined)
        assert landing.free_places + landing.quarantined_places + sum(map(len, held)) == 20
