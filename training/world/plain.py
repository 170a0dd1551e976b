"""Plain coloured backdrops with a seed's choice of a quiet texture. The mean colour stays the named one."""

from math import cos, pi, sin
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from training.world.scene import RGB, Color
from training.world.tones import jittered

_Field = NDArray[np.float32]
_JITTER = 8  # of each channel
_STYLES = ("flat", "gradient", "gradient", "vignette", "paper", "stripes", "dots")


def draw_plain(color: Color, seed: int, width: int, height: int) -> Image.Image:
    """The backdrop as an RGB image."""
    rng = Random(seed)
    base = jittered(RGB[color], _JITTER, rng)
    style = rng.choice(_STYLES)
    if style == "flat":
        return Image.new("RGB", (width, height), base)
    if style == "paper":
        return _paper(base, rng, width, height)
    field = _field(style, rng, width, height)
    pixels = np.asarray(base, dtype=np.float32) * field[..., None] + np.float32(0.5)
    return Image.fromarray(np.minimum(pixels, np.float32(255)).astype(np.uint8))


def _field(style: str, rng: Random, width: int, height: int) -> _Field:
    """What the colour is multiplied by at each pixel [H, W]: about 1."""
    short = min(width, height)
    x = (np.arange(width, dtype=np.float32) - width / 2)[None] / np.float32(short)
    y = (np.arange(height, dtype=np.float32) - height / 2)[:, None] / np.float32(short)
    angle, strength, step = rng.uniform(0, 2 * pi), rng.uniform(0.4, 1.0), rng.uniform(0.08, 0.16)
    along = x * np.float32(cos(angle)) + y * np.float32(sin(angle))
    field: _Field
    match style:
        case "gradient":
            field = 1 + along * np.float32(0.1 * strength * short / max(width, height))
        case "vignette":
            field = 1.03 - np.minimum(x * x + y * y, np.float32(1)) * np.float32(0.2 * strength)
        case "stripes":
            field = 1 + np.sin(along * np.float32(2 * pi / step)) * np.float32(0.025 * strength)
        case "dots":
            bumps = np.cos(x * np.float32(2 * pi / step)) * np.cos(y * np.float32(2 * pi / step))
            field = 1 + np.clip(bumps * 3 - 1, -0.5, 0.5) * np.float32(0.05 * strength)
        case _:
            raise ValueError(f"no style {style}")
    return field


def _paper(base: tuple[int, int, int], rng: Random, width: int, height: int) -> Image.Image:
    """Soft grains of about a hundredth of the short side."""
    grain = max(2, min(width, height) // 100)
    size = (width // grain + 1, height // grain + 1)
    swing = rng.randint(5, 12)
    noise = Image.frombytes("L", size, rng.randbytes(size[0] * size[1])).point([v * swing // 255 for v in range(256)])
    noise = noise.resize((width, height), Image.Resampling.BILINEAR)
    flat = Image.new("RGB", (width, height), base)
    return ImageChops.add(flat, Image.merge("RGB", (noise, noise, noise)), offset=-(swing // 2))
