"""How a sentence is written down: articles, capitals, end marks, spelling, slips. Knows no subject."""

import re
from random import Random

from training.language.split import Split

_A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeioAEIO])")
_ARTICLE = re.compile(r"\b(?:an?|the) ", re.IGNORECASE)
_COLOUR_SHARE = 0.25
_LOWER_SHARE = 0.25
_PERIOD_SHARE = 0.3
_NO_MARK_SHARE = 0.15
_SLIP_SHARE = 0.08  # of what training is asked
_OPENERS = ("well, ", "hey, ", "so ", "so, ", "um ", "um, ", "hi, ", "ok, ", "oh, ")
_CLOSERS = (" please", " thanks", ", thanks", ", thank you", " thx")


def tidy(text: str) -> str:
    """One space between words, none before a comma, no two commas, and "an" before vowels."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"(?: ?,)+", ",", text)
    return _A_BEFORE_VOWEL.sub(r"\1n ", text)


def sentence(text: str) -> str:
    """A tidy sentence with a capital and a period."""
    text = tidy(text)
    return text[0].upper() + text[1:] + "."


def as_prompt(text: str, rng: Random, split: Split) -> str:
    """A prompt or an instruction as people type it: capital or not, period or not."""
    text = tidy(text)
    if rng.random() < _LOWER_SHARE:
        text = _lower(text)
    else:
        text = text[0].upper() + text[1:] + ("." if rng.random() < _PERIOD_SHARE else "")
    return _slipped(text, rng) if split is Split.TRAIN and rng.random() < _SLIP_SHARE else text


def as_question(text: str, rng: Random, split: Split) -> str:
    """A question (with its mark) as people type it: also British, also in lower case, also without the mark."""
    text = tidy(text)
    if rng.random() < _COLOUR_SHARE:
        text = text.replace("color", "colour")
    if rng.random() < _NO_MARK_SHARE:
        text = text.rstrip("?.!")
    if rng.random() < _NO_MARK_SHARE:
        text = _lower(text)
    return _slipped(text, rng) if split is Split.TRAIN and rng.random() < _SLIP_SHARE else text


def _slipped(text: str, rng: Random) -> str:
    """The text with one harmless slip or filler. Says the same."""
    match rng.randrange(5):
        case 0:
            return rng.choice(_OPENERS) + _lower(text)
        case 1:
            mark = text[len(text.rstrip("?.!")) :]
            return text[: len(text) - len(mark)] + rng.choice(_CLOSERS) + mark
        case 2:
            articles = list(_ARTICLE.finditer(text))
            if not articles:
                return _lower(text)
            dropped = rng.choice(articles)
            return text[: dropped.start()] + text[dropped.end() :]
        case 3:
            gaps = [at for at, sign in enumerate(text) if sign == " "]
            at = rng.choice(gaps) if gaps else 0
            return text[:at] + " " + text[at:] if gaps else text
        case _:
            return _lower(text)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
