"""Questions and answers without a picture: capitals, colours of things, small sums, greetings, the model itself."""

from enum import Enum
from random import Random

from training.language.facts import CAPITALS, COLORS_OF_THINGS
from training.language.nouns import NUMBERS
from training.language.plain_templates import (
    ABILITY_TEMPLATES,
    CAPITAL_TEMPLATES,
    COLOR_TEMPLATES,
    GREETINGS,
    IDENTITY_TEMPLATES,
    SUM_TEMPLATES,
)
from training.language.split import Split, choose
from training.language.surface import as_question, sentence

MAX_TERM = 10
_WORDS_SHARE = 0.3  # of the sums that are spelled out


class PlainKind(Enum):
    """What a plain question is about."""

    CAPITAL = "capital"
    COLOR = "color"
    SUM = "sum"
    DIFFERENCE = "difference"
    GREETING = "greeting"
    IDENTITY = "identity"
    ABILITY = "ability"


IDENTITY = "I am a tiny BAGEL model, trained on a small drawn world."
ABILITY = "I can draw simple pictures, change them, describe them and answer short questions."


def plain(rng: Random, split: Split, kind: PlainKind | None = None) -> tuple[str, str]:
    """A question or a greeting, and the reply."""
    match kind or rng.choice(tuple(PlainKind)):
        case PlainKind.CAPITAL:
            country = rng.choice(tuple(CAPITALS))
            question = choose(rng, CAPITAL_TEMPLATES, split).format(country=country)
            answer = sentence(f"the capital of {country} is {CAPITALS[country]}")
        case PlainKind.COLOR:
            thing = rng.choice(tuple(COLORS_OF_THINGS))
            question = choose(rng, COLOR_TEMPLATES, split).format(thing=thing)
            answer = sentence(f"{thing} is {COLORS_OF_THINGS[thing]}")
        case PlainKind.SUM:
            a, b = rng.randint(0, MAX_TERM), rng.randint(0, MAX_TERM)
            question, answer = _asked(rng, split, (a, b), ("+", "plus")), f"{a} + {b} = {a + b}."
        case PlainKind.DIFFERENCE:
            b, a = sorted((rng.randint(0, MAX_TERM), rng.randint(0, MAX_TERM)))
            question, answer = _asked(rng, split, (a, b), ("-", "minus")), f"{a} - {b} = {a - b}."
        case PlainKind.GREETING:
            answer = rng.choice(tuple(GREETINGS))
            question = choose(rng, GREETINGS[answer], split)
        case PlainKind.IDENTITY:
            question, answer = choose(rng, IDENTITY_TEMPLATES, split), IDENTITY
        case PlainKind.ABILITY:
            question, answer = choose(rng, ABILITY_TEMPLATES, split), ABILITY
    return as_question(question, rng, split), answer


def _asked(rng: Random, split: Split, terms: tuple[int, int], signs: tuple[str, str]) -> str:
    """A sum in digits, with the sign or its word, or all in words."""
    template = choose(rng, SUM_TEMPLATES, split)
    if rng.random() < _WORDS_SHARE:
        return template.format(a=NUMBERS[terms[0]], b=NUMBERS[terms[1]], plus=signs[1])
    sign = signs[1] if rng.random() < _WORDS_SHARE else signs[0]
    return template.format(a=terms[0], b=terms[1], plus=sign)
