"""A pen that draws bold flat forms in local units. Owns curves, strokes and outlines; knows nothing of what they mean.

A pen has an origin and a unit in pixels of its image; y grows downwards. Images are drawn larger than they are shown
and reduced later, so nothing here is antialiased.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

RGB = tuple[int, int, int]
Point = tuple[float, float]
Points = Sequence[Point]
_Array = NDArray[np.float64]

_STEPS = 6  # points a curve gets between two of its nodes
_T = np.linspace(0.0, 1.0, _STEPS, endpoint=False)
_BASIS = np.stack([-_T + 2 * _T**2 - _T**3, 2 - 5 * _T**2 + 3 * _T**3, _T + 4 * _T**2 - 3 * _T**3, _T**3 - _T**2]).T / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """Draws on `image`. `unit`, `left`, `top` and `line` are pixels; a `rim` is a contour of `line` pixels in `ink`."""

    image: Image.Image
    unit: float
    left: float
    top: float
    ink: RGB = (0, 0, 0)
    line: float = 0.0
    flip: bool = False

    @property
    def width(self) -> float:
        """Of the whole image, in units."""
        return self.image.width / self.unit

    @property
    def height(self) -> float:
        """Of the whole image, in units."""
        return self.image.height / self.unit

    def at(self, x: float, y: float, scale: float, flip: bool = False) -> "Pen":
        """The same pen with its origin at (x, y) and a unit `scale` times as long."""
        left = self.left + (-x if self.flip else x) * self.unit
        return replace(
            self, left=left, top=self.top + y * self.unit, unit=self.unit * scale, flip=self.flip is not flip
        )

    def oval(self, x: float, y: float, rx: float, ry: float, fill: RGB, rim: bool = False) -> None:
        """An upright ellipse around (x, y)."""
        cx, cy = self.left + (-x if self.flip else x) * self.unit, self.top + y * self.unit
        draw = ImageDraw.Draw(self.image)
        if rim:
            wide, high = rx * self.unit + self.line, ry * self.unit + self.line
            draw.ellipse((cx - wide, cy - high, cx + wide, cy + high), fill=self.ink)
        wide, high = rx * self.unit, ry * self.unit
        draw.ellipse((cx - wide, cy - high, cx + wide, cy + high), fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: RGB) -> None:
        """An upright rectangle."""
        a, b = (-x1, -x0) if self.flip else (x0, x1)
        corners = (self.left + a * self.unit, self.top + y0 * self.unit)
        ends = (max(corners[0], self.left + b * self.unit - 1), max(corners[1], self.top + y1 * self.unit - 1))
        ImageDraw.Draw(self.image).rectangle((corners, ends), fill=fill)

    def poly(self, points: Points, fill: RGB, round_by: float = 0.0, rim: bool = False) -> None:
        """A polygon, its corners cut by curves that begin `round_by` units away."""
        self._fill(rounded(points, round_by) if round_by else np.asarray(points, dtype=np.float64), fill, rim)

    def blob(self, points: Points, fill: RGB, rim: bool = False) -> None:
        """A smooth closed form through the points."""
        nodes = np.asarray(points, dtype=np.float64)
        self._fill(_spline(np.concatenate((nodes[-1:], nodes, nodes[:2]))), fill, rim)

    def stroke(self, points: Points, width: float, fill: RGB, end: float | None = None, rim: bool = False) -> None:
        """A smooth line with round ends, `width` at its start and `end` (or the same) at its end."""
        curve = np.asarray(bend(points) if len(points) > 2 else points, dtype=np.float64)
        radii = np.linspace(width, width if end is None else end, len(curve)) / 2
        if rim:
            self._ribbon(curve, radii + self.line / self.unit, self.ink)
        self._ribbon(curve, radii, fill)

    def outline(self) -> None:
        """Surround what an RGBA image shows so far by a contour in `ink`, which its unpainted pixels must hold."""
        alpha = self.image.getchannel("A")
        grown = alpha
        for i in range(8):
            shift = (round(self.line * cos(i * pi / 4)), round(self.line * sin(i * pi / 4)))
            grown = ImageChops.lighter(grown, ImageChops.offset(alpha, *shift))
        self.image.putalpha(grown)

    def glow(self, x: float, y: float, rx: float, ry: float, fill: RGB, strength: float) -> None:
        """A soft spot that fades out towards its rim; `strength` is its opacity in the middle."""
        size = (max(2, round(2 * rx * self.unit)), max(2, round(2 * ry * self.unit)))
        mask = soft_spot().point([round(value * strength) for value in range(256)]).resize(size)
        corner = (round(self.left + (x - rx) * self.unit), round(self.top + (y - ry) * self.unit))
        self.image.paste(fill, (*corner, corner[0] + size[0], corner[1] + size[1]), mask)

    def _ribbon(self, curve: _Array, radii: _Array, fill: RGB) -> None:
        ahead = np.empty_like(curve)
        ahead[1:-1] = curve[2:] - curve[:-2]
        ahead[0], ahead[-1] = curve[1] - curve[0], curve[-1] - curve[-2]
        side = ahead[:, ::-1] * (radii / np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9))[:, None] * (-1.0, 1.0)
        self._fill(np.concatenate((curve + side, (curve - side)[::-1])), fill, False)
        for i in (0, -1):
            self.oval(float(curve[i, 0]), float(curve[i, 1]), float(radii[i]), float(radii[i]), fill)

    def _fill(self, points: _Array, fill: RGB, rim: bool) -> None:
        pixels = points * (-self.unit if self.flip else self.unit, self.unit) + (self.left, self.top)
        draw = ImageDraw.Draw(self.image)
        if rim:
            draw.polygon(_grown(pixels, self.line).ravel().tolist(), fill=self.ink)
        draw.polygon(pixels.ravel().tolist(), fill=fill)


def bend(points: Points) -> list[Point]:
    """A smooth line from the first of the points through all others."""
    nodes = np.asarray(points, dtype=np.float64)
    curve = _spline(np.concatenate((2 * nodes[:1] - nodes[1:2], nodes, 2 * nodes[-1:] - nodes[-2:-1])))
    return [(float(x), float(y)) for x, y in (*curve, nodes[-1])]


def rounded(points: Points, by: float) -> _Array:
    """A polygon's points [N, 2] with each corner replaced by a curve that begins `by` away from it."""
    corners = np.asarray(points, dtype=np.float64)
    to_last, to_next = np.roll(corners, 1, 0) - corners, np.roll(corners, -1, 0) - corners
    to_last *= np.minimum(0.5, by / np.hypot(to_last[:, 0], to_last[:, 1]))[:, None]
    to_next *= np.minimum(0.5, by / np.hypot(to_next[:, 0], to_next[:, 1]))[:, None]
    t = np.linspace(0.0, 1.0, 7)[None, :, None]
    curves: _Array = corners[:, None] + to_last[:, None] * (1 - t) ** 2 + to_next[:, None] * t**2
    return curves.reshape(-1, 2)


@cache
def soft_spot() -> Image.Image:
    """A round spot (mode L, 256x256) that fades smoothly from 255 in the middle to 0 at its rim. Never drawn on."""
    axis = np.linspace(-1, 1, 256)
    away = np.minimum(1.0, np.hypot(axis[None], axis[:, None]))
    return Image.fromarray((127.5 + 127.5 * np.cos(pi * away)).round().astype(np.uint8))


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """The colour `share` of the way from `a` to `b`."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def _spline(nodes: _Array) -> _Array:
    """The Catmull-Rom curve [(N - 3) * steps, 2] from the second of N nodes towards the last but one."""
    windows = np.stack((nodes[:-3], nodes[1:-2], nodes[2:-1], nodes[3:]), axis=1)
    return (_BASIS @ windows).reshape(-1, 2)


def _grown(points: _Array, by: float) -> _Array:
    """A polygon moved outwards by `by` along its normals, whichever way round it runs."""
    ahead = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    area = float(np.sum(points[:, 0] * np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) * points[:, 1]))
    normal = ahead[:, ::-1] * (1.0, -1.0) / np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)[:, None]
    return points + normal * (by if area > 0 else -by)
