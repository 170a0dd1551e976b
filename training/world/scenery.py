"""The parts landscapes are made of. A land's unit is the picture's shorter side, its origin the upper left corner."""

from collections.abc import Sequence
from math import acos, cos, pi, sin
from random import Random

import numpy as np
from PIL import Image

from training.world.pen import RGB, Pen, Point, mix

_HILL_POINTS = 48
Stops = Sequence[tuple[float, RGB]]  # (share of the height, colour), in order


def fill_sky(pen: Pen, stops: Stops, top: float = 0.0, bottom: float = 1.0) -> None:
    """Fill the band between two shares of the height with a vertical gradient."""
    rows = range(round(top * pen.image.height), round(bottom * pen.image.height))
    places = np.linspace(0, 1, len(rows))
    marks = [place for place, _ in stops]
    bands = [np.interp(places, marks, [color[i] for _, color in stops]) for i in range(3)]
    column = Image.fromarray(np.stack(bands, axis=-1)[:, None].round().astype(np.uint8))
    pen.image.paste(column.resize((pen.image.width, len(rows)), Image.Resampling.NEAREST), (0, rows[0]))


def draw_hills(pen: Pen, y: float, swing: float, fill: RGB, rng: Random) -> None:
    """Rolling ground from about `y` (in units) down to the lower edge."""
    xs = np.linspace(0, pen.width, _HILL_POINTS)
    ys = np.full_like(xs, y)
    for waves, share in ((rng.uniform(0.5, 0.9), 0.65), (rng.uniform(1.1, 1.8), 0.35)):
        ys -= swing * share * np.sin(2 * pi * xs * waves + rng.uniform(0, 2 * pi))
    edge: list[Point] = [(float(a), float(b)) for a, b in zip(xs, ys, strict=True)]
    pen.poly([(0.0, pen.height), *edge, (pen.width, pen.height)], fill)


def draw_peaks(pen: Pen, y: float, high: float, fill: RGB, rng: Random, cap: RGB | None = None) -> None:
    """A row of mountains whose feet are at `y`, with lit flanks, and snow on the tops if there is a `cap`."""
    x = rng.uniform(-0.25, -0.05)
    pen.poly(((0, y - high * 0.2), (pen.width, y - high * 0.2), (pen.width, pen.height), (0, pen.height)), fill)
    peaks: list[tuple[float, float, float]] = []
    while x < pen.width + 0.2:
        peaks.append((x, high * rng.uniform(0.65, 1.0), rng.uniform(0.22, 0.34)))
        x += rng.uniform(0.26, 0.42)
    for x, tall, half in peaks:
        pen.poly(((x - half, y), (x, y - tall), (x + half, y)), fill, 0.04)
    for x, tall, half in peaks:
        lean = half * 0.12
        pen.poly(((x, y - tall + 0.02), (x + half * 0.62, y - tall * 0.36), (x + lean, y - tall * 0.3)),
                 mix(fill, (0, 0, 0), 0.07), 0.03)  # fmt: skip
        if cap is not None:
            part = 0.3
            at = [(x - half * part, y - tall * (1 - part)), (x, y - tall + 0.012), (x + half * part, y - tall * 0.7)]
            pen.poly([*at, (x + half * 0.1, y - tall * 0.76), (x - half * 0.1, y - tall * 0.66)], cap, 0.02)


def draw_sun(pen: Pen, x: float, y: float, r: float, fill: RGB, halo: RGB) -> None:
    """A disc with a soft light around it."""
    pen.glow(x, y, r * 3.6, r * 3.6, halo, 0.75)
    pen.oval(x, y, r, r, fill)


def draw_moon(pen: Pen, x: float, y: float, r: float, crescent: bool) -> None:
    """A crescent, or a full moon with its seas."""
    pen.glow(x, y, r * 2.8, r * 2.8, (170, 190, 250), 0.4)
    bright: RGB = (252, 244, 208)
    if crescent:  # a disc less a smaller one, `aside` of it; `tip` and `inner` are where the two rims meet
        aside, small, tilt = 0.5, 0.8, -0.4
        meet = (1 + aside**2 - small**2) / (2 * aside)
        tip, inner = acos(meet), acos((meet - aside) / small)
        rim = [(cos(a), sin(a)) for a in np.linspace(tip, 2 * pi - tip, 32)]
        rim += [(aside + small * cos(a), small * sin(a)) for a in np.linspace(2 * pi - inner, inner, 32)]
        turned = [(a * cos(tilt) - b * sin(tilt), a * sin(tilt) + b * cos(tilt)) for a, b in rim]
        pen.poly([(x + r * a, y + r * b) for a, b in turned], bright)
        return
    pen.oval(x, y, r, r, bright)
    for dx, dy, size in ((-0.35, -0.25, 0.24), (0.3, 0.2, 0.3), (0.25, -0.5, 0.15), (-0.3, 0.48, 0.17)):
        pen.oval(x + dx * r, y + dy * r, size * r, size * r, (230, 220, 182))


def draw_cloud(pen: Pen, x: float, y: float, size: float, fill: RGB) -> None:
    """A flat-footed cumulus about 3 sizes wide."""
    for dx, dy, r in ((-0.95, 0.0, 0.42), (-0.3, -0.3, 0.62), (0.45, -0.15, 0.55), (1.05, 0.06, 0.36)):
        pen.oval(x + dx * size, y + dy * size, r * size, r * size, fill)
    pen.stroke(((x - 1.1 * size, y + 0.24 * size), (x + 1.15 * size, y + 0.24 * size)), 0.38 * size, fill)


def draw_star(pen: Pen, x: float, y: float, r: float, fill: RGB) -> None:
    """A four-pointed sparkle."""
    points = [(x + s * r * sin(i * pi / 4), y - s * r * cos(i * pi / 4)) for i, s in enumerate((1, 0.36) * 4)]
    pen.poly(points, fill)


def draw_pine(pen: Pen, x: float, y: float, high: float, fill: RGB, snow: RGB | None = None) -> None:
    """A conifer whose foot is at (x, y)."""
    trunk = mix(fill, (96, 62, 44), 0.75)
    pen.box(x - high * 0.05, y - high * 0.2, x + high * 0.05, y, trunk)
    for i, (low, top, half) in enumerate(((0.1, 0.58, 0.3), (0.34, 0.8, 0.24), (0.58, 1.0, 0.17))):
        corners = ((x - half * high, y - low * high), (x, y - top * high), (x + half * high, y - low * high))
        pen.poly(corners, mix(fill, (255, 255, 255), 0.05 * i), 0.05 * high)
        if snow is not None:
            a, b = y - (low + (top - low) * 0.45) * high, y - (top - 0.01) * high
            cap = (
                (-0.57, a),
                (0.0, b),
                (0.57, a),
                (0.2, a - 0.03 * high),
                (0.0, a + 0.04 * high),
                (-0.2, a - 0.03 * high),
            )
            pen.poly([(x + share * half * high, at) for share, at in cap], snow, 0.03 * high)


def draw_leaf_tree(pen: Pen, x: float, y: float, high: float, fill: RGB) -> None:
    """A round-topped tree whose foot is at (x, y)."""
    pen.stroke(((x, y - 0.01), (x, y - high * 0.5)), high * 0.11, mix(fill, (100, 64, 44), 0.8), high * 0.07)
    for dx, dy, r in ((-0.17, 0.55, 0.2), (0.17, 0.55, 0.2), (0.0, 0.74, 0.25), (0.0, 0.52, 0.22)):
        pen.oval(x + dx * high, y - dy * high, r * high, r * high, fill)
    light = mix(fill, (255, 255, 210), 0.14)
    pen.oval(x - 0.07 * high, y - 0.8 * high, 0.12 * high, 0.09 * high, light)


def draw_palm(pen: Pen, x: float, y: float, high: float) -> None:
    """A palm that leans towards its right, its foot at (x, y)."""
    top = (x + 0.22 * high, y - high)
    pen.stroke(((x, y), (x + 0.05 * high, y - 0.5 * high), top), 0.1 * high, (146, 98, 60), 0.06 * high)
    for dx, dy in (
        (-0.5, 0.18),
        (-0.42, -0.12),
        (-0.16, -0.27),
        (0.26, -0.24),
        (0.5, 0.0),
        (0.46, 0.26),
        (-0.28, 0.38),
    ):
        dark = dy > 0.1
        end = (top[0] + dx * high, top[1] + dy * high)
        bend = (top[0] + dx * 0.55 * high, top[1] + (dy * 0.5 - 0.13) * high)
        pen.stroke((top, bend, end), 0.12 * high, (38, 132, 74) if dark else (62, 166, 84), 0.025 * high)
    for dx, dy in ((-0.04, 0.05), (0.05, 0.06)):
        pen.oval(top[0] + dx * high, top[1] + dy * high, 0.045 * high, 0.045 * high, (112, 70, 44))


def draw_cactus(pen: Pen, x: float, y: float, high: float, fill: RGB) -> None:
    """A saguaro whose foot is at (x, y)."""
    wide = 0.2 * high
    pen.stroke(((x - 0.02 * high, y - 0.34 * high), (x - 0.26 * high, y - 0.38 * high),
                (x - 0.3 * high, y - 0.68 * high)), wide * 0.72, fill)  # fmt: skip
    pen.stroke(((x, y - 0.24 * high), (x + 0.25 * high, y - 0.28 * high), (x + 0.3 * high, y - 0.56 * high)),
               wide * 0.72, fill)  # fmt: skip
    pen.stroke(((x, y), (x, y - 0.9 * high)), wide, fill)
    pen.stroke(((x - 0.03 * high, y - 0.08 * high), (x - 0.03 * high, y - 0.86 * high)), wide * 0.2,
               mix(fill, (255, 255, 200), 0.25))  # fmt: skip
