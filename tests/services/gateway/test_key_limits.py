"""Keys are held to their rate and to what they may have on the way; time is an argument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bagel.errors import OverloadedError
from services.gateway.key_limits import BURST_S, Allowance, KeyLimits


def allowance(per_minute: float | None = None, at_once: int | None = None) -> Allowance:
    return Allowance(per_minute=per_minute, at_once=at_once)


def test_a_key_without_limits_may_ask_any_number() -> None:
    limits = KeyLimits()
    for _ in range(1000):
        limits.begin("a", allowance(), 0.0)


def test_only_so_many_are_on_their_way_at_once_and_one_that_ends_makes_room() -> None:
    limits = KeyLimits()
    limits.begin("a", allowance(at_once=2), 0.0)
    limits.begin("a", allowance(at_once=2), 0.0)
    with pytest.raises(OverloadedError, match="2 requests on their way"):
        limits.begin("a", allowance(at_once=2), 0.0)
    limits.begin("b", allowance(at_once=2), 0.0)
    limits.end("a")
    limits.begin("a", allowance(at_once=2), 0.0)


def test_a_refusal_says_when_the_next_may_come_and_then_it_may() -> None:
    limits, slow = KeyLimits(), allowance(per_minute=6)
    limits.begin("a", slow, 0.0)
    with pytest.raises(OverloadedError, match="6 requests a minute") as refused:
        limits.begin("a", slow, 4.0)
    assert refused.value.retry_after_s == pytest.approx(6.0)
    limits.begin("a", slow, 10.0)


@given(st.floats(1, 600), st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_over_any_time_a_key_gets_its_rate_and_one_burst_at_most(per_minute: float, pauses: list[float]) -> None:
    limits, now_s, taken = KeyLimits(), 0.0, 0
    for pause in pauses:
        now_s += pause
        try:
            limits.begin("a", allowance(per_minute=per_minute), now_s)
        except OverloadedError:
            continue
        taken += 1
        limits.end("a")
    assert taken <= max(1.0, per_minute * BURST_S / 60) + now_s * per_minute / 60 + 1e-6
