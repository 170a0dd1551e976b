"""Noun phrases for things: colour, clothes, plural, number. Says nothing of where things are."""

from training.language.synonyms import plural
from training.world.scene import GARMENT, PEOPLE, Color, Kind, Thing

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
PRONOUN = {Kind.WOMAN: "she", Kind.MAN: "he"}


def noun(kind: Kind, color: Color | None = None, *, count: int = 1, before: str = "", verb: str = "in") -> str:
    """A thing's words without article or number: "orange cat", "woman in a red dress"; `before` holds adjectives.

    `verb` is what joins a person and the clothes. `surface.tidy` turns "a" into "an".
    """
    name = plural(kind) if count != 1 else str(kind)
    if color is None:
        return f"{before} {name}".strip()
    if kind in PEOPLE:
        clothes = f"{color} {plural(GARMENT[kind])}" if count != 1 else f"a {color} {GARMENT[kind]}"
        return f"{before} {name} {verb} {clothes}".strip()
    return f"{before} {color} {name}".strip()


def a_noun(kind: Kind, color: Color | None = None, *, count: int = 1, before: str = "") -> str:
    """The words with article or number: "an orange cat", "two women in red dresses"."""
    article = "a" if count == 1 else NUMBERS[count]
    return f"{article} {noun(kind, color, count=count, before=before)}"


def reference(thing: Thing, others: tuple[Thing, ...]) -> str:
    """A thing by its kind alone, or with its colour where others are of its kind: "cat", "woman in the red dress"."""
    if all(other is thing or other.kind is not thing.kind for other in others):
        return str(thing.kind)
    return noun(thing.kind, thing.color).replace(" in a ", " in the ")


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
