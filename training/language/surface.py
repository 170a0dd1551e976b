"""How a sentence is written down: articles, capitals, end marks, spelling. Knows no subject."""

import re
from random import Random

_A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeioAEIO])")
_COLOUR_SHARE = 0.25
_LOWER_SHARE = 0.25
_PERIOD_SHARE = 0.3
_NO_MARK_SHARE = 0.15


def tidy(text: str) -> str:
    """One space between words, none before a comma, and "an" before vowels."""
    text = re.sub(r"\s+", " ", text).strip().replace(" ,", ",")
    return _A_BEFORE_VOWEL.sub(r"\1n ", text)


def sentence(text: str) -> str:
    """A tidy sentence with a capital and a period."""
    text = tidy(text)
    return text[0].upper() + text[1:] + "."


def as_prompt(text: str, rng: Random) -> str:
    """A prompt or an instruction as people type it: capital or not, period or not."""
    text = tidy(text)
    if rng.random() < _LOWER_SHARE:
        return text[0].lower() + text[1:]
    return text[0].upper() + text[1:] + ("." if rng.random() < _PERIOD_SHARE else "")


def as_question(text: str, rng: Random) -> str:
    """A question (with its mark) as people type it: also British, also in lower case, also without the mark."""
    text = tidy(text)
    if rng.random() < _COLOUR_SHARE:
        text = text.replace("color", "colour")
    if rng.random() < _NO_MARK_SHARE:
        text = text.rstrip("?.!")
    return text[0].lower() + text[1:] if rng.random() < _NO_MARK_SHARE else text
