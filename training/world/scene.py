"""What a picture of the world shows, as facts. Draws nothing and knows no words beyond the names of things.

Coordinates are fractions of the canvas, (0, 0) at the top left; a size is the height of a thing's bounding box as a
fraction of the canvas's shorter side. Seeds decide looks that no caption mentions.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Color(StrEnum):
    """Named colours of things and plain backgrounds."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    BLUE = "blue"
    PURPLE = "purple"
    PINK = "pink"
    BROWN = "brown"
    BLACK = "black"
    WHITE = "white"
    GRAY = "gray"


RGB: dict[Color, tuple[int, int, int]] = {
    Color.RED: (215, 38, 42),
    Color.ORANGE: (245, 136, 28),
    Color.YELLOW: (250, 214, 48),
    Color.GREEN: (46, 158, 68),
    Color.BLUE: (40, 92, 214),
    Color.PURPLE: (128, 56, 176),
    Color.PINK: (246, 142, 188),
    Color.BROWN: (126, 78, 42),
    Color.BLACK: (24, 24, 28),
    Color.WHITE: (248, 248, 248),
    Color.GRAY: (140, 141, 146),
}


class Kind(StrEnum):
    """What a thing is."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    HEART = "heart"
    DIAMOND = "diamond"
    CROSS = "cross"
    CAT = "cat"
    DOG = "dog"
    WOMAN = "woman"
    MAN = "man"
    HOUSE = "house"
    TREE = "tree"
    CAR = "car"
    FLOWER = "flower"


SHAPES = (Kind.CIRCLE, Kind.SQUARE, Kind.TRIANGLE, Kind.STAR, Kind.HEART, Kind.DIAMOND, Kind.CROSS)
ANIMALS = (Kind.CAT, Kind.DOG)
PEOPLE = (Kind.WOMAN, Kind.MAN)
OBJECTS = (Kind.HOUSE, Kind.TREE, Kind.CAR, Kind.FLOWER)

_ANY = tuple(Color)
_FUR = (Color.ORANGE, Color.BLACK, Color.WHITE, Color.GRAY, Color.BROWN)
_LEAVES = (Color.GREEN, Color.ORANGE, Color.RED, Color.YELLOW, Color.PINK)
_PETALS = (Color.RED, Color.YELLOW, Color.PINK, Color.PURPLE, Color.WHITE, Color.BLUE, Color.ORANGE)
# The colour of a person is that of the clothes, of a tree its leaves, of a house its walls.
COLORS_OF: dict[Kind, tuple[Color, ...]] = (
    dict.fromkeys((*SHAPES, *PEOPLE, Kind.CAR, Kind.HOUSE), _ANY)
    | dict.fromkeys(ANIMALS, _FUR)
    | {Kind.TREE: _LEAVES, Kind.FLOWER: _PETALS}
)
GARMENT = {Kind.WOMAN: "dress", Kind.MAN: "shirt"}


class Pose(StrEnum):
    """How an animal holds itself; other things have none."""

    SITTING = "sitting"
    STANDING = "standing"


class Place(StrEnum):
    """Landscapes: whole pictures by themselves, or what is behind things."""

    SUNSET_MOUNTAINS = "sunset over mountains"
    FUTURISTIC_CITY = "futuristic city"
    BEACH = "beach"
    FOREST = "forest"
    NIGHT_SKY = "night sky"
    SNOW = "snowy field"
    DESERT = "desert"
    MEADOW = "meadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One object. (x, y) is the centre of its bounding box."""

    kind: Kind
    color: Color
    x: float
    y: float
    size: float
    seed: int
    pose: Pose | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """What is behind the things: a place, or a plain colour. Exactly one of the two is set."""

    seed: int
    color: Color | None = None
    place: Place | None = None

    @property
    def name(self) -> str:
        """The colour's or the place's name."""
        return str(self.color or self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A whole picture: up to three things, first drawn first, before a backdrop. Blurry ones are drawn out of focus."""

    things: tuple[Thing, ...]
    backdrop: Backdrop
    blurry: bool = False


class Relation(StrEnum):
    """Where one thing is, seen from another."""

    LEFT_OF = "to the left of"
    RIGHT_OF = "to the right of"
    ABOVE = "above"
    BELOW = "below"


class Spot(StrEnum):
    """Where a thing is on the canvas."""

    CENTER = "in the center"
    LEFT = "on the left"
    RIGHT = "on the right"
    TOP = "at the top"
    BOTTOM = "at the bottom"
    TOP_LEFT = "in the top left corner"
    TOP_RIGHT = "in the top right corner"
    BOTTOM_LEFT = "in the bottom left corner"
    BOTTOM_RIGHT = "in the bottom right corner"


SPOT_XY: dict[Spot, tuple[float, float]] = {
    Spot.CENTER: (0.5, 0.5),
    Spot.LEFT: (0.24, 0.5),
    Spot.RIGHT: (0.76, 0.5),
    Spot.TOP: (0.5, 0.24),
    Spot.BOTTOM: (0.5, 0.76),
    Spot.TOP_LEFT: (0.24, 0.24),
    Spot.TOP_RIGHT: (0.76, 0.24),
    Spot.BOTTOM_LEFT: (0.24, 0.76),
    Spot.BOTTOM_RIGHT: (0.76, 0.76),
}
SMALL, MEDIUM, LARGE = 0.26, 0.42, 0.66


def spot_of(thing: Thing) -> Spot:
    """The spot nearest to a thing's centre."""
    return min(SPOT_XY, key=lambda s: (SPOT_XY[s][0] - thing.x) ** 2 + (SPOT_XY[s][1] - thing.y) ** 2)


def relation(a: Thing, b: Thing) -> Relation:
    """Where `a` is, seen from `b`: along the axis on which they lie further apart."""
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) >= abs(dy):
        return Relation.LEFT_OF if dx < 0 else Relation.RIGHT_OF
    return Relation.ABOVE if dy < 0 else Relation.BELOW


def size_word(thing: Thing) -> str | None:
    """small, large, or None for everything between."""
    if thing.size <= (SMALL + MEDIUM) / 2:
        return "small"
    return "large" if thing.size >= (MEDIUM + LARGE) / 2 else None


def is_held_out(kind: Kind, color: Color, backdrop: str) -> bool:
    """Whether an object-colour-background combination is kept for evaluation: one in ten, by its name alone."""
    digest = hashlib.sha256(f"{kind}|{color}|{backdrop}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 10 == 0
