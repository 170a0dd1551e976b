"""The colours one thing is drawn in, from its name and its seed. Draws nothing."""

from dataclasses import dataclass
from random import Random

from training.world.pen import RGB, mix
from training.world.scene import RGB as RGB_OF
from training.world.scene import Color

DARK: RGB = (38, 32, 38)  # eyes, noses, tyres
SNOW: RGB = (255, 255, 255)
_JITTER = 9  # of each channel
_TINGE = 3  # the part of a jitter in which channels differ: more would colour grays


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """`base` fills most of the thing, `shade` and `deep` are its darker parts, `tint` lighter ones, `ink` contours."""

    base: RGB
    shade: RGB
    deep: RGB
    tint: RGB
    ink: RGB
    color: Color


def tones_of(color: Color, rng: Random) -> Tones:
    """Takes as much from `rng` whatever the colour is, so that recolouring a thing keeps its other looks."""
    base = jittered(RGB_OF[color], _JITTER, rng)
    black, white = (0, 0, 0), (255, 255, 255)
    if color is Color.BLACK:
        shade, deep, tint, ink = mix(base, white, 0.08), mix(base, white, 0.15), mix(base, white, 0.3), (84, 86, 100)
    elif color is Color.WHITE:
        shade, deep, tint, ink = (226, 228, 236), (204, 204, 212), white, (128, 132, 148)
    else:
        shade, deep, tint, ink = (
            mix(base, black, 0.12),
            mix(base, black, 0.28),
            mix(base, white, 0.6),
            mix(base, black, 0.48),
        )
    return Tones(base=base, shade=shade, deep=deep, tint=tint, ink=ink, color=color)


def jittered(color: RGB, by: int, rng: Random) -> RGB:
    """The colour with each channel moved by at most `by`, mostly in brightness."""
    light = rng.randint(_TINGE - by, by - _TINGE)
    red, green, blue = (min(255, max(0, channel + light + rng.randint(-_TINGE, _TINGE))) for channel in color)
    return red, green, blue
