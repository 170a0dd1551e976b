"""Picking tokens: greedy, repeatable by seed, and never outside the nucleus."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.settings import DecodeSettings
from services.thinker.sampling import TokenSampler

PROBABILITIES = [0.05, 0.4, 0.1, 0.3, 0.15]
LOGITS = torch.tensor(PROBABILITIES).log()


def _picks(decode: DecodeSettings, count: int) -> list[int]:
    sampler = TokenSampler(decode)
    return [sampler.pick(LOGITS) for _ in range(count)]


def test_a_temperature_of_zero_always_takes_the_most_likely_token() -> None:
    assert _picks(DecodeSettings(temperature=0.0, top_p=0.5, seed=3), 20) == [1] * 20


def test_greedy_takes_the_first_of_equal_tokens() -> None:
    assert TokenSampler(DecodeSettings()).pick(torch.tensor([0.0, 2.0, 2.0])) == 1


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others() -> None:
    first = _picks(DecodeSettings(temperature=1.0, seed=11), 50)

    assert first == _picks(DecodeSettings(temperature=1.0, seed=11), 50)
    assert first != _picks(DecodeSettings(temperature=1.0, seed=12), 50)


def test_two_requests_at_once_do_not_disturb_each_other() -> None:
    alone = _picks(DecodeSettings(temperature=1.0, seed=1), 30)
    one, other = (TokenSampler(DecodeSettings(temperature=1.0, seed=seed)) for seed in (1, 2))
    beside = []
    for _ in range(30):
        beside.append(one.pick(LOGITS))
        other.pick(LOGITS)

    assert beside == alone


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    drawn = Counter(_picks(DecodeSettings(temperature=1.0, seed=5), 4000))

    for token, probability in enumerate(PROBABILITIES):
        assert drawn[token] / 4000 == pytest.approx(probability, abs=0.03)


def test_a_low_temperature_sharpens_and_a_high_one_flattens() -> None:
    def share(temperature: float) -> float:
        return Counter(_picks(DecodeSettings(temperature=temperature, seed=6), 1000))[1] / 1000

    flat = PROBABILITIES[1] ** 0.5 / sum(probability**0.5 for probability in PROBABILITIES)
    assert share(0.1) > 0.9 > share(1.0) > share(2.0)
    assert share(2.0) == pytest.approx(flat, abs=0.05)


@pytest.mark.parametrize(("top_p", "kept"), [(0.35, {1}), (0.5, {1, 3}), (0.75, {1, 3, 4}), (0.9, {1, 3, 4, 2})])
def test_only_the_nucleus_is_drawn_and_all_of_it(top_p: float, kept: set[int]) -> None:
    assert set(_picks(DecodeSettings(temperature=1.0, top_p=top_p, seed=7), 500)) == kept


def test_within_the_nucleus_tokens_keep_their_proportions() -> None:
    drawn = Counter(_picks(DecodeSettings(temperature=1.0, top_p=0.5, seed=8), 4000))

    assert drawn[1] / drawn[3] == pytest.approx(0.4 / 0.3, rel=0.15)


@settings(deadline=None)
@given(
    logits=st.lists(st.integers(-80, 80).map(lambda quarters: quarters / 4), min_size=1, max_size=12),
    top_p=st.floats(0.01, 1.0),
    temperature=st.floats(0.05, 2.0),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_drawn_token_is_never_behind_enough_more_likely_ones(
    logits: list[float], top_p: float, temperature: float, seed: int
) -> None:
    token = TokenSampler(DecodeSettings(temperature=temperature, top_p=top_p, seed=seed)).pick(torch.tensor(logits))
    weights = [math.exp((logit - max(logits)) / temperature) for logit in logits]
    more_likely = sum(weight for weight in weights if weight > weights[token]) / sum(weights)

    assert more_likely < top_p + 1e-4


def test_the_smallest_temperature_is_greedy_in_effect() -> None:
    assert TokenSampler(DecodeSettings(temperature=1e-40)).pick(torch.tensor([1.0, 2.0, 3.0])) == 2
