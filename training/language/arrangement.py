"""What is clear in a scene: how its things are arranged, and which of its facts nobody would dispute. Makes no text."""

from collections.abc import Sequence
from enum import Enum

from training.world.scene import (
    LARGE,
    MEDIUM,
    SMALL,
    SPOT_XY,
    Kind,
    Place,
    Relation,
    Scene,
    Spot,
    Thing,
    relation,
    size_word,
    spot_of,
)

_BORDERS = ((SMALL + MEDIUM) / 2, (MEDIUM + LARGE) / 2)
_BORDER_SHARE = 0.1  # sizes this close to a border are named by nobody
_SPOT_REACH = 0.09
_SIDE_REACH = 0.15
_CLEAR_RATIO = 1.4  # how much further things lie apart along the named axis

OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}
# What a landscape may itself hold, or show something like: nobody asks about these there.
AMBIGUOUS_IN: dict[Place, tuple[Kind, ...]] = {
    Place.SUNSET_MOUNTAINS: (Kind.CIRCLE, Kind.TRIANGLE, Kind.TREE),
    Place.FUTURISTIC_CITY: (Kind.HOUSE, Kind.CAR, Kind.SQUARE, Kind.STAR, Kind.TRIANGLE, Kind.CIRCLE),
    Place.BEACH: (Kind.CIRCLE, Kind.TREE),
    Place.FOREST: (Kind.TREE, Kind.TRIANGLE, Kind.FLOWER),
    Place.NIGHT_SKY: (Kind.STAR, Kind.CIRCLE, Kind.TREE, Kind.HOUSE),
    Place.SNOW: (Kind.TREE, Kind.HOUSE, Kind.CIRCLE, Kind.STAR, Kind.TRIANGLE),
    Place.DESERT: (Kind.CIRCLE, Kind.TREE, Kind.FLOWER, Kind.TRIANGLE),
    Place.MEADOW: (Kind.FLOWER, Kind.TREE, Kind.CIRCLE),
}


class Arrangement(Enum):
    """How the things of a scene are told."""

    EMPTY = "empty"
    SINGLE = "single"
    PAIR = "pair"
    COUNT = "count"  # all alike, in a row
    THREE = "three"


def arrangement(scene: Scene) -> Arrangement:
    """The arrangement, from the facts alone."""
    things = scene.things
    if len(things) < 2:
        return Arrangement.SINGLE if things else Arrangement.EMPTY
    alike = len({(thing.kind, thing.color) for thing in things}) == 1
    if alike and relation(things[0], things[1]) in (Relation.LEFT_OF, Relation.RIGHT_OF):
        return Arrangement.COUNT
    return Arrangement.PAIR if len(things) == 2 else Arrangement.THREE


def in_order(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Things from left to right, or two from top to bottom when they lie so."""
    if len(things) == 2 and relation(things[0], things[1]) in (Relation.ABOVE, Relation.BELOW):
        return tuple(sorted(things, key=lambda thing: thing.y))
    return tuple(sorted(things, key=lambda thing: thing.x))


def clear_relation(a: Thing, b: Thing) -> Relation | None:
    """Where `a` is, seen from `b`, unless the diagonal makes that a matter of taste."""
    near, far = sorted((abs(a.x - b.x), abs(a.y - b.y)))
    return relation(a, b) if far >= near * _CLEAR_RATIO else None


def clear_size(thing: Thing) -> str | None:
    """The size word, unless the size is close to a border between two words."""
    if any(abs(thing.size - border) < border * _BORDER_SHARE for border in _BORDERS):
        return None
    return size_word(thing)


def clear_spot(scene: Scene) -> Spot | None:
    """The spot of a single thing on a plain backdrop that is close to it."""
    if len(scene.things) != 1 or scene.backdrop.place:
        return None
    thing = scene.things[0]
    x, y = SPOT_XY[spot := spot_of(thing)]
    return spot if (thing.x - x) ** 2 + (thing.y - y) ** 2 <= _SPOT_REACH**2 else None


def side(thing: Thing) -> Spot | None:
    """Left or right, of a thing whose height is given by the ground it stands on."""
    if abs(thing.x - 0.5) < _SIDE_REACH:
        return None
    return Spot.LEFT if thing.x < 0.5 else Spot.RIGHT


def askable(scene: Scene, kind: Kind) -> bool:
    """Whether the landscape shows nothing that could be taken for a thing of this kind."""
    return scene.backdrop.place is None or kind not in AMBIGUOUS_IN[scene.backdrop.place]
