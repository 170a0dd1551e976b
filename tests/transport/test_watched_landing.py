"""The watch over landing memory sees what it is there to see."""

import threading

from tests.transport.watched_landing import WatchedLanding

PAGE_BYTES = 64


def _write(landing: WatchedLanding, place: int) -> None:
    landing.region.tensor[(place + 1) * PAGE_BYTES - 1] = 0


def test_pages_that_land_are_counted_and_do_no_damage() -> None:
    landing = WatchedLanding(4, PAGE_BYTES)
    places = landing.reserve(2)
    assert places is not None
    assert landing.landed(places) == 0
    _write(landing, places[1])
    assert landing.landed(places) == 1
    landing.give_back(places, [])
    assert landing.state() == {"places": 4, "free": 4, "quarantined": 0, "damage": []}


def test_a_write_to_a_place_that_is_free_is_damage() -> None:
    landing = WatchedLanding(4, PAGE_BYTES)
    places = landing.reserve(1)
    assert places is not None
    landing.give_back(places, [])
    for place in (places[0], 3):
        _write(landing, place)
    assert landing.state()["damage"] == ["free places [0, 3] were written to"]


def test_a_damage_shows_as_well_when_the_place_has_been_given_out_since() -> None:
    landing = WatchedLanding(4, PAGE_BYTES)
    _write(landing, 0)
    assert landing.reserve(2) == [0, 1]
    assert landing.state()["damage"] == ["free places [0] were written to"]


def test_a_quarantined_place_may_be_written_to_until_it_is_settled() -> None:
    landing, settled = WatchedLanding(2, PAGE_BYTES), threading.Event()
    places = landing.reserve(1)
    assert places is not None
    landing.give_back(places, [settled])
    _write(landing, 0)
    assert landing.state() == {"places": 2, "free": 1, "quarantined": 1, "damage": []}
    settled.set()
    assert landing.state()["free"] == 2
    _write(landing, 0)
    assert landing.state()["damage"] == ["free places [0] were written to"]
