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


@pytest.mark.parametrize(
    ("top_k", "kept"), [(1, {1}), (2, {1, 3}), (4, {1, 3, 4, 2}), (5, {0, 1, 2, 3, 4}), (99, {0, 1, 2, 3, 4})]
)
def test_only_the_likeliest_tokens_are_drawn_and_all_of_them(top_k: int, kept: set[int]) -> None:
    assert set(_picks(DecodeSettings(temperature=1.0, top_k=top_k, seed=7), 500)) == kept


def test_the_nucleus_is_one_of_the_likeliest() -> None:
    # Of the two likeliest, token 1 alone has 4/7 of the probability.
    assert set(_picks(DecodeSettings(temperature=1.0, top_k=2, top_p=0.5, seed=7), 200)) == {1}
    assert set(_picks(DecodeSettings(temperature=1.0, top_k=2, top_p=0.6, seed=7), 200)) == {1, 3}


def test_a_top_k_of_zero_changes_no_draw() -> None:
    plain = DecodeSettings(temperature=1.0, seed=9)
    assert _picks(plain, 50) == _picks(DecodeSettings(temperature=1.0, seed=9, top_k=0), 50)


def test_a_penalty_holds_back_what_was_said_greedy_or_not() -> None:
    logits = torch.tensor([1.0, 3.0, 2.5, -1.0])
    sampler = TokenSampler(DecodeSettings(repetition_penalty=2.0))
    # 1 is taken; then its 3.0 becomes 1.5 and 2 leads, then its 2.5 becomes 1.25: 1 leads again, as it is halved once.
    assert [sampler.pick(logits) for _ in range(4)] == [1, 2, 1, 1]
    assert TokenSampler(DecodeSettings(repetition_penalty=2.0), [1]).pick(logits) == 2
    draws = DecodeSettings(repetition_penalty=10.0, temperature=0.01, seed=1)
    assert TokenSampler(draws, [1, 2]).pick(logits) == 0


def test_a_penalty_makes_negative_logits_more_negative() -> None:
    logits = torch.tensor([-1.0, -1.5])
    assert TokenSampler(DecodeSettings(repetition_penalty=1.4), [0]).pick(logits) == 0
    assert TokenSampler(DecodeSettings(repetition_penalty=1.6), [0]).pick(logits) == 1
    assert torch.equal(logits, torch.tensor([-1.0, -1.5])), "the model's logits stay as they are"


def test_a_penalty_of_one_changes_nothing() -> None:
    plain = DecodeSettings(temperature=1.0, seed=9)
    sampler, penalized = TokenSampler(plain), TokenSampler(DecodeSettings(temperature=1.0, seed=9), range(5))
    assert [sampler.pick(LOGITS) for _ in range(30)] == [penalized.pick(LOGITS) for _ in range(30)]


@settings(deadline=None, max_examples=30)
@given(
    logits=st.lists(st.integers(-80, 80).map(lambda quarters: quarters / 4), min_size=2, max_size=12, unique=True),
    penalty=st.sampled_from([0.5, 1.1, 1.3, 2.0]),
    said=st.sets(st.integers(0, 1)),
    top_k=st.integers(1, 12),
)
def test_logits_are_changed_as_transformers_changes_them(
    logits: list[float], penalty: float, said: set[int], top_k: int
) -> None:
    """Greedy after transformers' own processor is our greedy pick, and what its top_k keeps is what ours draws from."""
    from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper

    given_logits, ids = torch.tensor([logits]), torch.tensor([sorted(said)], dtype=torch.long)
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(ids, given_logits) if said else given_logits
    ours = TokenSampler(DecodeSettings(repetition_penalty=penalty), sorted(said)).pick(given_logits[0])
    assert ours == int(theirs.argmax())
    kept = TopKLogitsWarper(top_k)(ids, theirs)[0]
    drawing = DecodeSettings(repetition_penalty=penalty, temperature=2.0, top_k=top_k, seed=3)
    assert torch.isfinite(kept[TokenSampler(drawing, sorted(said)).pick(given_logits[0])])
