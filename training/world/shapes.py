"""Plain geometric shapes, one unit high around the origin."""

from dataclasses import dataclass
from math import cos, pi, radians, sin
from random import Random

from training.world.pen import Pen, Point, Points, bend, mix, rounded
from training.world.scene import Color, Kind
from training.world.tones import Tones

_TURN = {Kind.CIRCLE: 0.0, Kind.SQUARE: 5.0, Kind.DIAMOND: 5.0, Kind.HEART: 8.0, Kind.CROSS: 6.0}  # degrees, else 12
_ARM = 0.18  # half the width of a cross's arms
_HEART: Points = (
    (0.0, -0.3), (0.07, -0.4), (0.17, -0.475), (0.29, -0.495), (0.41, -0.455), (0.5, -0.36), (0.53, -0.22),
    (0.5, -0.07), (0.42, 0.09), (0.29, 0.25), (0.14, 0.4), (0.0, 0.5),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """How a seed wants its shape."""

    turn: float  # -1..1 of the most a kind may turn
    round_by: float
    outlined: bool
    shaded: bool


def draw_shape(kind: Kind, pen: Pen, tones: Tones, rng: Random) -> None:
    """Fill `pen`'s RGBA image with the shape; outlines and shading are the seed's choice."""
    style = _Style(
        turn=rng.uniform(-1, 1) if rng.random() < 0.5 else 0.0,
        round_by=rng.choice((0.0, 0.0, 0.05, 0.09)),
        outlined=rng.random() < 0.4,
        shaded=rng.random() < 0.5,
    )
    turn = radians(style.turn * _TURN.get(kind, 12.0))
    corners = [_turned(point, turn) for point in _corners(kind, style.round_by)]
    fit = 1 / max(1.0, max(y for _, y in corners) - min(y for _, y in corners))
    pen = pen.at(0, 0, fit)
    outlined = style.outlined or tones.color in (Color.WHITE, Color.BLACK)
    if outlined:
        pen.poly(corners, tones.ink if tones.color in (Color.WHITE, Color.BLACK) else tones.deep)
        thin = 0.955
        corners = [(x * thin, y * thin) for x, y in _inner(kind, corners)]
    pen.poly(corners, tones.base)
    if style.shaded:
        _shade(pen, tones)


def _inner(kind: Kind, corners: list[Point]) -> list[Point]:
    """Where a form's middle lies outside the origin, thin it around its own middle."""
    if kind is Kind.TRIANGLE:
        return [(x * 0.975, (y - 0.14) * 0.975 + 0.145) for x, y in corners]
    return corners


def _shade(pen: Pen, tones: Tones) -> None:
    """A soft light at the upper left that leaves the form's edge as it is."""
    alpha = pen.image.getchannel("A")
    pen.glow(-0.2, -0.22, 0.55, 0.55, mix(tones.base, (255, 255, 255), 0.3), 0.4)
    pen.image.putalpha(alpha)


def _corners(kind: Kind, round_by: float) -> list[Point]:
    match kind:
        case Kind.CIRCLE:
            return [(0.5 * cos(i * pi / 36), 0.5 * sin(i * pi / 36)) for i in range(72)]
        case Kind.HEART:
            right = [(x, y) for x, y in bend(_HEART)]
            return [*right, *((-x, y) for x, y in right[-2:0:-1])]
        case Kind.SQUARE:
            sharp = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
        case Kind.TRIANGLE:
            sharp = [(0.0, -0.5), (0.57, 0.5), (-0.57, 0.5)]
        case Kind.DIAMOND:
            sharp = [(0.0, -0.5), (0.37, 0.0), (0.0, 0.5), (-0.37, 0.0)]
        case Kind.STAR:
            tips = [(0.55 if i % 2 == 0 else 0.25, i * pi / 5) for i in range(10)]
            sharp = [(r * sin(a), 0.05 - r * cos(a)) for r, a in tips]
        case Kind.CROSS:
            a = _ARM
            sharp = [(-a, -0.5), (a, -0.5), (a, -a), (0.5, -a), (0.5, a), (a, a)]
            sharp += [(-x, -y) for x, y in sharp]
        case _:
            raise ValueError(f"{kind} is no shape")
    if not round_by:
        return sharp
    return [(float(x), float(y)) for x, y in rounded(sharp, round_by)]


def _turned(point: Point, by: float) -> Point:
    x, y = point
    return x * cos(by) - y * sin(by), x * sin(by) + y * cos(by)
