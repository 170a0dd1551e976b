"""Colours by name. Knows nothing of things: a pixel has the name of the colour nearest to it in CIELAB."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.world.scene import RGB, Color

Pixels = NDArray[np.float32]  # [..., 3]: sRGB levels 0..255, or Lab
Names = NDArray[np.int8]  # indices into COLORS

COLORS = tuple(Color)
_TO_XYZ = np.array(
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)),
    dtype=np.float32,
)
_WHITE = np.array((0.95047, 1.0, 1.08883), dtype=np.float32)
_SHIFT = 3  # of levels in the table of names
_CURVE_ENDS, _CURVE_SLOPE = 0.008856, 7.787


def lab(pixels: Pixels) -> Pixels:
    """sRGB levels as CIELAB (D65)."""
    levels = np.clip(pixels, 0, 255) / np.float32(255)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    curved = np.where(xyz > _CURVE_ENDS, np.cbrt(xyz), _CURVE_SLOPE * xyz + 16 / 116)
    x, y, z = np.moveaxis(curved, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1).astype(np.float32)


_NAMED = lab(np.array([RGB[color] for color in COLORS], dtype=np.float32))


def names_of(pixels: Pixels) -> Names:
    """The nearest named colour of every pixel, in steps of 8 levels."""
    step = np.clip(pixels, 0, 255).astype(np.uint16) >> _SHIFT
    names: Names = _table()[step[..., 0], step[..., 1], step[..., 2]]
    return names


def name_of(level: Pixels) -> Color:
    """The nearest named colour of one pixel [3]."""
    return COLORS[int(_nearest(level))]


def _nearest(pixels: Pixels) -> Names:
    away = ((lab(pixels)[..., None, :] - _NAMED) ** 2).sum(axis=-1)
    return np.asarray(away.argmin(axis=-1).astype(np.int8))


@cache
def _table() -> Names:
    """The names of a coarse grid of levels [r, g, b]."""
    middles = (np.arange(256 >> _SHIFT, dtype=np.float32) + np.float32(0.5)) * (1 << _SHIFT)
    return _nearest(np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1))
