"""What stands out from what is behind it: from a plain backdrop, estimated from the picture, or from a known one.

Knows neither kinds nor places. Soft dark spots below things are shadows and belong to what is behind.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.judge.colors import Pixels
from training.judge.regions import Mask, box_of, large_parts

SIDE = 128  # of the picture's shorter side as the judge sees it
FAR = 36.0  # RGB distance beyond which a pixel is no part of the backdrop
_SPECK = 0.003  # the share of the picture below which nothing counts as a thing
_FRAME = 0.06
_FIRST_REACH, _REACH = 60.0, 30.0  # of a pixel from the backdrop's colour, before and after the first fit
_SHADOW: Pixels = np.array((20, 18, 30), dtype=np.float32)
_SHADOW_MOST, _SHADOW_OFF = 0.45, 24.0  # of its opacity; of its colour
_SHADOW_HEIGHT = 0.13  # of the picture's shorter side


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainBackdrop:
    """`pixels` [H, W, 3] without anything before them; `level` [3] is their mean; `seen` their share of the frame."""

    pixels: Pixels
    level: Pixels
    seen: float


def pixels_of(image: Image.Image, side: int = SIDE) -> Pixels:
    """The picture as levels, reduced to `side` pixels along its shorter side."""
    share = side / min(image.size)
    size = (round(image.width * share), round(image.height * share))
    small = image.convert("RGB").resize(size, Image.Resampling.BOX if share < 1 else Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32)


def plain_backdrop(pixels: Pixels) -> PlainBackdrop:
    """A smooth surface through the colours that prevail along the picture's frame."""
    height, width = pixels.shape[:2]
    frame = _frame(height, width)
    surface = np.broadcast_to(np.median(pixels[frame], axis=0), pixels.shape)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack((np.ones_like(x), x, y, x * x, y * y, x * y), axis=-1).astype(np.float32)
    for reach in (_FIRST_REACH, _REACH, _REACH):
        near = _away(pixels, surface) < reach
        if near.sum() < 0.05 * near.size:
            break
        chosen, levels = terms[near], pixels[near]
        weights = np.linalg.solve(chosen.T @ chosen + np.eye(6) * 1e-3 * len(chosen), chosen.T @ levels)
        surface = (terms @ weights).astype(np.float32)
    seen = float((_away(pixels, surface)[frame] < FAR).mean())
    return PlainBackdrop(pixels=np.asarray(surface), level=surface.mean(axis=(0, 1)).astype(np.float32), seen=seen)


def standing_out(pixels: Pixels, backdrop: Pixels, far: float = FAR) -> Mask:
    """Where a picture differs from what is behind, but for shadows."""
    different = np.asarray(_away(pixels, backdrop) > far)
    shadows = np.zeros_like(different)
    for part in large_parts(different & _shadowy(pixels, backdrop), 3):
        box = box_of(part)
        if box.height < _SHADOW_HEIGHT * min(different.shape) and box.width > box.height:
            shadows |= part
    return different & ~shadows


def things_in(mask: Mask) -> list[Mask]:
    """The parts that are large enough for a thing, largest first; fragments beside a part belong to it."""
    least = _SPECK * mask.size
    found = large_parts(mask, max(3, round(least * 0.1)))
    whole: list[Mask] = []
    for part in found:
        owner = next((i for i, other in enumerate(whole) if _belongs(part, other)), None)
        if owner is not None:
            whole[owner] = whole[owner] | part
        elif part.sum() >= least:
            whole.append(part)
    return whole


def _belongs(part: Mask, other: Mask) -> bool:
    """Whether a part is a fragment of a larger one: much smaller, and mostly within its bounds."""
    if part.sum() > 0.4 * other.sum():
        return False
    box, reach = box_of(other), max(2, round(0.03 * min(part.shape)))
    window = (
        slice(max(0, box.top - reach), box.bottom + reach),
        slice(max(0, box.left - reach), box.right + reach),
    )
    return bool(part[window].sum() > 0.6 * part.sum())


def _shadowy(pixels: Pixels, backdrop: Pixels) -> Mask:
    """Where a pixel is its backdrop, darkened as a shadow does."""
    down = backdrop - _SHADOW
    depth = np.maximum((down * down).sum(axis=-1), 1.0)
    opacity = ((backdrop - pixels) * down).sum(axis=-1) / depth
    off = _away(pixels, backdrop - opacity[..., None] * down)
    return np.asarray((opacity > 0) & (opacity < _SHADOW_MOST) & (off < _SHADOW_OFF))


def _frame(height: int, width: int) -> Mask:
    wide = max(2, round(_FRAME * min(height, width)))
    frame = np.ones((height, width), np.bool_)
    frame[wide:-wide, wide:-wide] = False
    return frame


def _away(a: Pixels, b: Pixels) -> Pixels:
    away: Pixels = np.sqrt(((a - b) ** 2).sum(axis=-1))
    return away
