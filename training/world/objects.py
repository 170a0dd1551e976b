"""A house, a tree, a car and a flower, one unit high around the origin."""

from math import cos, pi, sin
from random import Random

from training.world.pen import RGB, Pen, Point, mix
from training.world.scene import Color, Kind
from training.world.tones import SNOW, Tones

_ROOFS: tuple[RGB, ...] = ((168, 68, 52), (84, 90, 110), (112, 74, 56), (60, 110, 120))
_DOORS: tuple[RGB, ...] = ((120, 76, 46), (64, 92, 140), (150, 52, 52), (58, 110, 78))
_PANES: tuple[RGB, ...] = ((180, 224, 248), (255, 232, 150))
_TRUNK: RGB = (126, 84, 52)
_LEAF: RGB = (78, 168, 76)
_TYRE: RGB = (44, 44, 52)


def draw_object(kind: Kind, pen: Pen, tones: Tones, rng: Random) -> None:
    """Draw the object on the pen's RGBA image."""
    match kind:
        case Kind.HOUSE:
            _house(pen, tones, rng)
        case Kind.TREE:
            _tree(pen, tones, rng)
        case Kind.CAR:
            _car(pen, tones, rng)
        case Kind.FLOWER:
            _flower(pen, tones, rng)
        case _:
            raise ValueError(f"{kind} is no object")
    pen.outline()


def _house(pen: Pen, tones: Tones, rng: Random) -> None:
    roof, door, pane = rng.choice(_ROOFS), rng.choice(_DOORS), rng.choice(_PANES)
    pen = pen.at(0, 0, 1, flip=rng.random() < 0.5)
    layout, high = rng.randrange(3), rng.uniform(-0.2, -0.15)
    pen.poly(((0.22, -0.46), (0.33, -0.46), (0.33, -0.15), (0.22, -0.15)), mix(roof, (60, 40, 40), 0.4), rim=True)
    pen.poly(((-0.44, high - 0.04), (0.44, high - 0.04), (0.44, 0.5), (-0.44, 0.5)), tones.base)
    pen.poly(((-0.44, 0.44), (0.44, 0.44), (0.44, 0.5), (-0.44, 0.5)), tones.shade)
    pen.poly(((0, -0.525), (0.58, high + 0.05), (-0.58, high + 0.05)), roof, 0.07, rim=True)
    x = 0.0 if layout == 0 else -0.2
    pen.poly(((x - 0.095, 0.16), (x + 0.095, 0.16), (x + 0.095, 0.5), (x - 0.095, 0.5)), door, 0.03, rim=True)
    pen.oval(x + 0.055, 0.34, 0.02, 0.02, (250, 216, 110))
    windows = ((-0.28, 0.12), (0.28, 0.12)) if layout == 0 else ((0.2, 0.14),)
    for at in windows:
        _window(pen, at, 0.085 if layout == 0 else 0.12, pane)
    if layout != 1:
        pen.oval(0, -0.28, 0.07, 0.07, SNOW)
        pen.oval(0, -0.28, 0.05, 0.05, pane)


def _window(pen: Pen, at: Point, half: float, pane: RGB) -> None:
    x, y = at
    bar = 0.014
    frame = half + 0.025
    corners = ((x - frame, y - frame), (x + frame, y - frame), (x + frame, y + frame), (x - frame, y + frame))
    pen.poly(corners, SNOW, 0.02, rim=True)
    for dx in (-1, 1):
        for dy in (-1, 1):
            a, b = sorted((x + dx * bar, x + dx * half)), sorted((y + dy * bar, y + dy * half))
            pen.box(a[0], b[0], a[1], b[1], pane)


def _tree(pen: Pen, tones: Tones, rng: Random) -> None:
    form = rng.randrange(3)
    pen = pen.at(0, 0, 1, flip=rng.random() < 0.5)
    pen.poly(((-0.055, -0.1), (0.055, -0.1), (0.07, 0.38), (0.12, 0.5), (-0.12, 0.5), (-0.07, 0.38)), _TRUNK, 0.04,
             rim=True)  # fmt: skip
    pen.stroke(((0.0, 0.2), (0.12, 0.06)), 0.05, _TRUNK)
    puffs: tuple[tuple[float, float, float], ...]
    if form == 0:  # a cloud of leaves
        puffs = ((-0.22, -0.02, 0.2), (0.22, -0.02, 0.2), (-0.17, -0.24, 0.2), (0.18, -0.23, 0.2), (0, -0.32, 0.18),
                 (0, -0.08, 0.25))  # fmt: skip
    elif form == 1:  # round
        puffs = ((0.0, -0.14, 0.36),)
    else:
        puffs = ((0.0, -0.31, 0.19), (-0.13, -0.12, 0.23), (0.14, -0.12, 0.22), (0.0, 0.02, 0.24))
    for x, y, r in puffs:
        pen.oval(x, y, r, r, tones.ink)
    for x, y, r in puffs:
        pen.oval(x, y, r, r, tones.base)
    top = mix(tones.base, SNOW, 0.14)
    for x, y, r in ((-0.12, -0.28, 0.075), (0.1, -0.17, 0.06), (-0.14, -0.03, 0.06), (0.14, 0.03, 0.05)):
        pen.oval(x, y, r * 1.3, r * 0.8, top if y < -0.1 else tones.shade)


def _car(pen: Pen, tones: Tones, rng: Random) -> None:
    """A side view that drives left."""
    pen = pen.at(0, 0, 1, flip=rng.random() < 0.5)
    van, hub = rng.random() < 0.35, rng.choice(((214, 216, 224), (240, 226, 170)))
    if van:
        roof: tuple[Point, ...] = ((-0.42, 0.06), (-0.27, -0.44), (-0.16, -0.5), (0.44, -0.5), (0.57, -0.4),
                                   (0.61, 0.06))  # fmt: skip
        panes = (((-0.3, -0.05), (-0.19, -0.37), (0.02, -0.37), (0.02, -0.05)),
                 ((0.09, -0.05), (0.09, -0.37), (0.45, -0.37), (0.5, -0.05)))  # fmt: skip
    else:
        roof = ((-0.4, 0.06), (-0.22, -0.42), (-0.08, -0.5), (0.24, -0.5), (0.38, -0.42), (0.56, 0.06))
        panes = (((-0.27, -0.05), (-0.14, -0.36), (0.04, -0.37), (0.04, -0.05)),
                 ((0.11, -0.05), (0.11, -0.37), (0.28, -0.36), (0.43, -0.05)))  # fmt: skip
    pen.poly(roof, tones.base, 0.09, rim=True)
    pen.poly(((-0.64, 0.08), (-0.58, -0.01), (0.6, -0.05), (0.65, 0.1), (0.65, 0.36), (-0.65, 0.36)), tones.base, 0.09,
             rim=True)  # fmt: skip
    pen.poly([(x * 0.92, y) for x, y in roof], tones.base, 0.09)
    for pane in panes:
        pen.poly(pane, (190, 228, 246), 0.05, rim=True)
        pen.poly((pane[1], (pane[1][0] + 0.09, pane[1][1]), (pane[0][0] + 0.1, -0.05), pane[0]), (224, 244, 252), 0.03)
    pen.poly(((-0.63, 0.26), (0.63, 0.26), (0.63, 0.36), (-0.63, 0.36)), tones.shade, 0.04)
    pen.stroke(((0.12, 0.08), (0.2, 0.08)), 0.035, tones.ink)
    pen.oval(-0.585, 0.1, 0.05, 0.07, (255, 240, 170), rim=True)
    pen.oval(0.6, 0.1, 0.035, 0.065, (236, 80, 70), rim=True)
    for x in (-0.34, 0.36):
        pen.oval(x, 0.32, 0.17, 0.17, _TYRE, rim=True)
        pen.oval(x, 0.32, 0.08, 0.08, hub)


def _flower(pen: Pen, tones: Tones, rng: Random) -> None:
    petals, turn = rng.choice((5, 6, 6, 8)), rng.uniform(0, pi)
    pen = pen.at(0, 0, 1, flip=rng.random() < 0.5)
    heart = (126, 78, 44) if tones.color in (Color.YELLOW, Color.ORANGE) else (252, 204, 62)
    pen.stroke(((0.0, -0.1), (0.02, 0.2), (0.0, 0.48)), 0.055, mix(_LEAF, (0, 0, 0), 0.1), rim=True)
    for side, y in ((-1, 0.36), (1, 0.27)):
        pen.blob(((side * 0.01, y + 0.06), (side * 0.1, y - 0.07), (side * 0.27, y - 0.11), (side * 0.2, y + 0.04)),
                 _LEAF, rim=True)  # fmt: skip
    ring, size = (0.18, 0.145) if petals < 8 else (0.2, 0.115)
    at = [(ring * sin(turn + 2 * pi * i / petals), ring * cos(turn + 2 * pi * i / petals)) for i in range(petals)]
    for x, y in at:
        pen.oval(x, -0.175 + y, size + 0.012, size + 0.012, tones.ink)
    for x, y in at:
        pen.oval(x, -0.175 + y, size, size, tones.base)
    for x, y in at:
        pen.stroke(((x * 0.5, -0.175 + y * 0.5), (x * 1.0, -0.175 + y * 1.0)), 0.05, tones.shade, 0.02)
    pen.oval(0, -0.175, 0.095, 0.095, heart, rim=True)
    pen.oval(0.02, -0.16, 0.06, 0.06, mix(heart, (0, 0, 0), 0.1))
