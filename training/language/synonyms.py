"""Other words for the world's words, so that people are understood. The canonical word stands for itself elsewhere."""

import re
from random import Random

from training.world.scene import Color, Kind

SHARE = 0.1  # of the words that have a synonym

KIND_SYNONYMS: dict[Kind, tuple[str, ...]] = {
    Kind.CIRCLE: ("disc", "ball", "dot"),
    Kind.SQUARE: ("box",),
    Kind.DIAMOND: ("rhombus",),
    Kind.CROSS: ("plus sign",),
    Kind.CAT: ("kitten", "kitty"),
    Kind.DOG: ("puppy", "doggy"),
    Kind.WOMAN: ("lady", "girl"),
    Kind.MAN: ("guy", "boy"),
    Kind.HOUSE: ("home", "cottage"),
    Kind.CAR: ("automobile", "vehicle"),
    Kind.FLOWER: ("blossom",),
}
COLOR_SYNONYMS: dict[Color, tuple[str, ...]] = {
    Color.RED: ("crimson", "scarlet"),
    Color.YELLOW: ("golden",),
    Color.GREEN: ("emerald",),
    Color.BLUE: ("navy", "azure"),
    Color.PURPLE: ("violet",),
    Color.PINK: ("rose",),
    Color.GRAY: ("grey",),
}
GARMENT_SYNONYMS = {"dress": ("gown",), "shirt": ("t-shirt",)}
_SIZE_SYNONYMS = {"small": ("little", "tiny"), "large": ("big", "huge")}
_IRREGULAR_PLURALS = {"woman": "women", "man": "men"}


def plural(noun: str) -> str:
    """The plural of one of the world's nouns."""
    if noun in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "sh", "ch")) else "s")


def with_synonyms(text: str, rng: Random) -> str:
    """The text with some of its words, one in ten, exchanged for synonyms. Leaves articles to `surface.tidy`."""

    def swapped(match: re.Match[str]) -> str:
        word = match.group()
        return rng.choice(_ALTERNATIVES[word]) if rng.random() < SHARE else word

    return _WORD.sub(swapped, text)


def _alternatives() -> dict[str, tuple[str, ...]]:
    nouns: dict[str, tuple[str, ...]] = {str(kind): words for kind, words in KIND_SYNONYMS.items()} | GARMENT_SYNONYMS
    plurals = {plural(noun): tuple(plural(word) for word in words) for noun, words in nouns.items()}
    colors: dict[str, tuple[str, ...]] = {str(color): words for color, words in COLOR_SYNONYMS.items()}
    return nouns | plurals | colors | _SIZE_SYNONYMS


_ALTERNATIVES = _alternatives()
_WORD = re.compile(r"\b(?:" + "|".join(sorted(_ALTERNATIVES, key=len, reverse=True)) + r")\b")
