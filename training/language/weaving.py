"""Template lists woven from slots, so that kept wordings recombine familiar words. Knows no subject; see `split`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from random import Random

_MOST = 500  # templates of one list
_PLAIN_SHARE = 0.4  # of the drawn training templates
_FEW = 8  # templates of a list that share a word
_SEED = 20_240_517


def crossed(*slots: Sequence[str]) -> Iterator[str]:
    """Every way to put one of each slot behind one another."""
    return ("".join(parts) for parts in product(*slots))


def woven(plain: Sequence[str], rest: Iterable[str], kept: Sequence[str] = ()) -> tuple[str, ...]:
    """One template list: short forms that training draws often, recombinations in a fixed random order, kept forms.

    The plain forms are always for training. The last fifth, which `split` holds out, is made of the kept forms and
    of recombinations.
    """
    last = {_bare(text): text for text in kept}
    first = [text for text in plain if _bare(text) not in last]
    taken = {_bare(text) for text in first} | set(last)
    others = {_bare(text): text for text in rest if _bare(text) not in taken}
    mixed = list(others.values())
    Random(_SEED).shuffle(mixed)
    mixed = _rare_first(mixed[:_MOST])
    # A fifth of the whole list is held out: plain forms shall be their share of the other four.
    wanted = int((len(mixed) + len(last)) * 0.8 * _PLAIN_SHARE / (1 - 0.8 * _PLAIN_SHARE))
    repeats = max(1, round(wanted / max(1, len(first))))
    whole = (*first * repeats, *mixed, *last.values())
    if len(mixed) + len(last) < len(whole) // 5 or len(last) > len(whole) // 5:
        raise ValueError(f"the held-out fifth would not fit: {plain[:1]}")
    return whole


def _rare_first(texts: list[str]) -> list[str]:
    """Templates with a word that few others have come first, so that none is left for evaluation alone."""
    counts = Counter(word for text in texts for word in set(_bare(text).split()))
    return sorted(texts, key=lambda text: min(counts[word] for word in _bare(text).split()) >= _FEW)


def _bare(text: str) -> str:
    """What makes two templates the same to a reader."""
    return " ".join(text.lower().rstrip(".?!").replace(",", "").split())
