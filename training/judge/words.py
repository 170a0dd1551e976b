"""Whether a text names what a scene shows. Reads the world's own sentences and free ones made of its words."""

import re
from collections import Counter
from dataclasses import dataclass

from training.language.nouns import NUMBERS
from training.language.synonyms import COLOR_SYNONYMS, GARMENT_SYNONYMS, KIND_SYNONYMS, plural
from training.world.scene import GARMENT, PEOPLE, Color, Kind, Place, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Things that a text names. A plural without a number counts as two."""

    kind: Kind
    color: Color | None
    count: int


_SINGULARS = {word: kind for kind in Kind for word in (str(kind), *KIND_SYNONYMS.get(kind, ()))}
_PLURALS = {plural(word): kind for word, kind in _SINGULARS.items()}
_COLORS = {word: color for color in Color for word in (str(color), *COLOR_SYNONYMS.get(color, ()))}
_GARMENTS = {word for garment in GARMENT.values() for word in (garment, *GARMENT_SYNONYMS[garment])}
_GARMENTS |= {plural(word) for word in _GARMENTS}
_COUNTS = {word: number for number, word in enumerate(NUMBERS)} | {str(number): number for number in range(21)}
_COUNTS |= {"a": 1, "an": 1, "no": 0}
_PLACE_WORDS = {
    Place.SUNSET_MOUNTAINS: "sunset mountain mountains",
    Place.FUTURISTIC_CITY: "city skyline cityscape metropolis",
    Place.BEACH: "beach seaside seashore",
    Place.FOREST: "forest woods woodland",
    Place.NIGHT_SKY: "night starry",
    Place.SNOW: "snow snowy winter",
    Place.DESERT: "desert dunes",
    Place.MEADOW: "meadow grass grassland",
}
_PLACES = {word: place for place, words in _PLACE_WORDS.items() for word in words.split()}
_PLACE = r"(?:" + "|".join(_PLACES) + r"|sky)"
# What belongs to a landscape: a meadow full of flowers, a forest with many tall trees.
_SCENERY = re.compile(rf"\b({_PLACE}) (?:full of|with|of) (?:\w+ )??(?:\w+ )??(?:stars|trees|flowers|blossoms)\b")
_COLOR = r"(" + "|".join(sorted(_COLORS, key=len, reverse=True)) + r")"
_PLAIN = re.compile(
    rf"\b{_COLOR}(?: (?:plain|solid|simple|empty))? (?:background|backdrop|canvas)\b"
    rf"|\bbackground (?:is|should be|in) (?:plain )?{_COLOR}\b"
    rf"|\bon (?:plain |solid )?{_COLOR}(?= *(?:$|[,.]))"
)
_TOKEN = re.compile(r"[a-z]+(?:[-'][a-z]+)*|\d+|[+=,.:;\-]")
_TAG = re.compile(r"</?think>")
_LEFT_OUT = {"a", "an", "the"} | set(",.:;")
_SAME = {"colour": "color", "grey": "gray", "plus": "+", "minus": "-", "equals": "="}
_REACH = 5  # how many words before a thing may tell of it
_ENDS_BEFORE = {"and", "of", "to", "with", "in", "on", "at", "wearing", "then"} | set(",.:;+=")


def things_named(text: str) -> list[Named]:
    """The things a text names, in its order; those it names again with "the" are left out."""
    tokens = _tokens(_SCENERY.sub(r"\1", _PLAIN.sub(" , ", _flat(text))))
    named: list[Named] = []
    for at, token in enumerate(tokens):
        kind = _SINGULARS.get(token) or _PLURALS.get(token)
        if kind is None:
            continue
        color, count, again = _told_before(tokens, at)
        if kind in PEOPLE:
            color = _clothes_after(tokens, at) or color
        if again and any(other.kind is kind and color in (None, other.color) for other in named):
            continue
        if count is None:
            count = 1 if token in _SINGULARS else 2
        if count:
            named.append(Named(kind=kind, color=color, count=count))
    return named


def backdrop_named(text: str) -> str | None:
    """The name of the backdrop, as `Backdrop.name` has it, if the text names one."""
    flat = _flat(text)
    for token in _tokens(flat):
        if token in _PLACES:
            return str(_PLACES[token])
    if "setting" in flat.split():
        return str(Place.SUNSET_MOUNTAINS)
    match = _PLAIN.search(flat)
    return str(_COLORS[next(group for group in match.groups() if group)]) if match else None


def caption_is_right(text: str, scene: Scene) -> bool:
    """Every thing named with its colour and number, none invented, and the backdrop right if one is named.

    A scene without things needs its backdrop named.
    """
    shown = Counter((thing.kind, thing.color) for thing in scene.things)
    told: Counter[tuple[Kind, Color | None]] = Counter()
    for named in things_named(text):
        told[named.kind, named.color] += named.count
    backdrop = backdrop_named(text)
    if backdrop is None:
        return bool(scene.things) and told == shown
    return told == shown and backdrop == scene.backdrop.name


def thought_names(thought: str, scene: Scene) -> bool:
    """Whether a thought before a picture names all of it, the backdrop too."""
    return backdrop_named(thought) == scene.backdrop.name and caption_is_right(thought, scene)


def answer_is_right(text: str, expected: str) -> bool:
    """Whether two answers have the same words in the same order, but for case, punctuation, articles and spelling."""
    return _content(text) == _content(expected)


def _told_before(tokens: list[str], at: int) -> tuple[Color | None, int | None, bool]:
    """Colour and number before a thing, and whether it stands with "the"."""
    color: Color | None = None
    for token in reversed(tokens[max(0, at - _REACH) : at]):
        if token in _COUNTS:
            return color, _COUNTS[token], False
        if token == "the":
            return color, None, True
        if token in _ENDS_BEFORE or token in _SINGULARS or token in _PLURALS or token in _GARMENTS:
            break
        color = color or _COLORS.get(token)
    return color, None, False


def _clothes_after(tokens: list[str], at: int) -> Color | None:
    """The colour of the garment that follows a person."""
    color: Color | None = None
    for token in tokens[at + 1 : at + 1 + _REACH]:
        if token in _SINGULARS or token in _PLURALS or token in (",", ".", "and"):
            return None
        if token in _GARMENTS:
            return color
        color = _COLORS.get(token, color)
    return None


def _content(text: str) -> list[str]:
    bare = re.sub(r"<think>.*?</think>", " ", text.lower(), flags=re.DOTALL)
    words = [_SAME.get(token, token) for token in _tokens(bare)]
    return [str(_COUNTS.get(word, word)) for word in words if word not in _LEFT_OUT]


def _flat(text: str) -> str:
    return _TAG.sub(" ", text.lower()).replace("plus signs", "crosses").replace("plus sign", "cross")


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)
