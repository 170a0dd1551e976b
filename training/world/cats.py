"""Cats, one unit high around the origin: pointed ears, whiskers and a face towards the viewer in both poses."""

from dataclasses import dataclass
from random import Random

from training.world.pen import RGB, Pen, mix
from training.world.scene import Color, Pose
from training.world.tones import DARK, SNOW, Tones

_EYES: tuple[RGB, ...] = ((120, 196, 70), (250, 200, 50), (88, 178, 232), (90, 208, 170))
_PINK: RGB = (240, 150, 160)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cat:
    """What a seed and a colour decide."""

    tones: Tones
    eyes: RGB
    flip: bool
    striped: bool
    socks: RGB  # of paws and tail tip
    bib: RGB

    @property
    def mark(self) -> RGB:
        return self.tones.deep


def draw_cat(pose: Pose, pen: Pen, tones: Tones, rng: Random) -> None:
    """Draw the whole animal on the pen's RGBA image."""
    eyes, flip, striped = rng.choice(_EYES), rng.random() < 0.5, rng.random() < 0.5
    socked, bibbed = rng.random() < 0.4, rng.random() < 0.6
    light = (238, 236, 236) if tones.color is Color.BLACK else mix(tones.tint, SNOW, 0.5)
    cat = _Cat(
        tones=tones,
        eyes=eyes,
        flip=flip,
        striped=striped and tones.color not in (Color.BLACK, Color.WHITE),
        socks=light if socked else tones.base,
        bib=light if bibbed and socked else tones.tint if bibbed and tones.color is not Color.BLACK else tones.base,
    )
    pen = pen.at(0, 0, 1, flip=flip)
    if pose is Pose.SITTING:
        _sitting(pen, cat)
    else:
        _standing(pen.at(0.04, 0, 1), cat)


def _sitting(pen: Pen, cat: _Cat) -> None:
    tones = cat.tones
    tail = ((0.1, 0.42), (0.27, 0.44), (0.365, 0.36), (0.35, 0.22), (0.3, 0.12), (0.34, 0.03))
    pen.stroke(tail, 0.1, tones.base, 0.085, rim=True)
    pen.stroke(tail[-2:], 0.086, cat.socks if cat.socks != tones.base else tones.shade)
    pen.blob(((0, -0.05), (0.16, 0.06), (0.215, 0.25), (0.235, 0.42), (0.14, 0.485), (0, 0.48), (-0.14, 0.485),
              (-0.235, 0.42), (-0.215, 0.25), (-0.16, 0.06)), tones.base, rim=True)  # fmt: skip
    for side in (-1, 1):
        pen.oval(side * 0.185, 0.4, 0.075, 0.095, tones.shade)
    pen.blob(((0, 0.0), (0.1, 0.08), (0.09, 0.19), (0, 0.25), (-0.09, 0.19), (-0.1, 0.08)), cat.bib)
    for side in (-1, 1):
        pen.stroke(((side * 0.07, 0.2), (side * 0.075, 0.44)), 0.1, tones.base)
        pen.oval(side * 0.085, 0.455, 0.078, 0.045, cat.socks, rim=True)
    pen.stroke(((0, 0.24), (0, 0.42)), 0.02, tones.ink)
    _head(pen.at(0, -0.165, 0.41), cat)


def _standing(pen: Pen, cat: _Cat) -> None:
    """A side view that looks left."""
    tones = cat.tones
    tail = ((0.33, 0.02), (0.45, -0.06), (0.49, -0.22), (0.43, -0.34), (0.47, -0.45))
    pen.stroke(tail, 0.1, tones.base, 0.085, rim=True)
    pen.stroke(tail[-2:], 0.086, cat.socks if cat.socks != tones.base else tones.shade)
    for x in (-0.1, 0.28):  # the far legs
        pen.stroke(((x, 0.15), (x, 0.44)), 0.1, tones.shade, rim=True)
    for x in (-0.22, 0.375):
        pen.stroke(((x + 0.01, 0.15), (x, 0.44)), 0.115, tones.base, 0.1, rim=True)
        pen.oval(x - 0.02, 0.455, 0.075, 0.044, cat.socks, rim=True)
    pen.blob(((-0.32, 0.02), (-0.2, -0.05), (0.05, -0.045), (0.28, -0.07), (0.41, -0.01), (0.445, 0.14),
              (0.36, 0.26), (0.1, 0.27), (-0.18, 0.27), (-0.32, 0.18)), tones.base, rim=True)  # fmt: skip
    for x in (-0.215, 0.37):  # joins the near legs and the body
        pen.stroke(((x, 0.16), (x, 0.36)), 0.113, tones.base, 0.1)
    if cat.striped:
        for x in (0.06, 0.17, 0.28):
            pen.stroke(((x, -0.035), (x + 0.02, 0.02), (x + 0.01, 0.09)), 0.05, cat.mark, 0.02)
    _head(pen.at(-0.3, -0.165, 0.41), cat)


def _head(pen: Pen, cat: _Cat) -> None:
    """Seen from the front; its unit is a bit less than the head's height."""
    tones = cat.tones
    for side in (-1, 1):
        pen.poly(((side * 0.62, 0.05), (side * 0.6, -0.84), (side * 0.06, -0.4)), tones.base, 0.12, rim=True)
    pen.oval(0, 0, 0.66, 0.53, tones.base, rim=True)
    for side in (-1, 1):
        pen.poly(((side * 0.55, -0.2), (side * 0.53, -0.7), (side * 0.2, -0.4)), tones.base, 0.1)
        pen.poly(((side * 0.52, -0.28), (side * 0.51, -0.63), (side * 0.26, -0.42)), _PINK, 0.1)
    pen.oval(0, 0, 0.65, 0.5, tones.base)
    if cat.striped:
        for x in (-0.16, 0.0, 0.16):
            pen.stroke(((x, -0.46), (x * 0.9, -0.27)), 0.09, cat.mark, 0.05)
    pen.outline()
    for side in (-1, 1):
        pen.oval(side * 0.29, -0.01, 0.155, 0.175, cat.eyes, rim=tones.color is not Color.BLACK)
        pen.oval(side * 0.28, -0.01, 0.085, 0.145, DARK)
        pen.oval(side * 0.28 + 0.045, -0.07, 0.05, 0.05, SNOW)
    for side in (-1, 1):
        pen.oval(side * 0.11, 0.3, 0.15, 0.12, cat.bib if cat.bib != tones.base else tones.tint)
    pen.poly(((-0.11, 0.15), (0.11, 0.15), (0.0, 0.27)), (228, 106, 122), 0.05)
    mouth = (150, 140, 150) if tones.color is Color.BLACK and cat.bib == tones.base else (96, 56, 56)
    pen.stroke(((-0.13, 0.33), (-0.05, 0.37), (0.0, 0.28), (0.05, 0.37), (0.13, 0.33)), 0.04, mouth)
    whisker = (206, 206, 214) if tones.color is Color.BLACK else mix(tones.ink, (20, 20, 20), 0.3)
    for side in (-1, 1):
        pen.stroke(((side * 0.36, 0.22), (side * 0.84, 0.13)), 0.04, whisker, 0.03)
        pen.stroke(((side * 0.36, 0.31), (side * 0.82, 0.36)), 0.04, whisker, 0.03)
