"""Dogs, one unit high around the origin: drooping ears, a snout, a tongue, a collar."""

from dataclasses import dataclass
from random import Random

from training.world.pen import RGB, Pen, mix
from training.world.scene import Color, Pose
from training.world.tones import DARK, SNOW, Tones

_TONGUE: RGB = (240, 104, 124)
_COLLARS: tuple[RGB, ...] = ((214, 48, 52), (48, 110, 214), (52, 166, 96), (236, 176, 40))
_GOLD: RGB = (250, 206, 70)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dog:
    """What a seed and a colour decide."""

    tones: Tones
    ears: RGB
    snout: RGB
    collar: RGB
    patch: bool  # a dark one around an eye
    socks: RGB

    @property
    def nose(self) -> RGB:
        return (14, 12, 16) if self.tones.color is Color.BLACK else DARK


def draw_dog(pose: Pose, pen: Pen, tones: Tones, rng: Random) -> None:
    """Draw the whole animal on the pen's RGBA image."""
    collar, flip, patch, socked = rng.choice(_COLLARS), rng.random() < 0.5, rng.random() < 0.35, rng.random() < 0.4
    black = tones.color is Color.BLACK
    snout = (186, 140, 100) if black else mix(tones.base, (255, 246, 230), 0.62)
    dog = _Dog(
        tones=tones,
        ears=(150, 120, 96)
        if tones.color is Color.WHITE
        else (58, 56, 64)
        if black
        else mix(tones.base, (0, 0, 0), 0.2),
        snout=(255, 255, 255) if tones.color is Color.WHITE else snout,
        collar=collar,
        patch=patch,
        socks=snout if socked else tones.base,
    )
    pen = pen.at(0, 0, 1, flip=flip)
    if pose is Pose.SITTING:
        _sitting(pen, dog)
    else:
        _standing(pen.at(0.05, 0, 1), dog)


def _sitting(pen: Pen, dog: _Dog) -> None:
    tones = dog.tones
    pen.stroke(((0.12, 0.43), (0.3, 0.4), (0.38, 0.26)), 0.1, tones.base, 0.06, rim=True)
    pen.blob(((0, -0.08), (0.15, 0.03), (0.2, 0.22), (0.245, 0.4), (0.15, 0.485), (0, 0.48), (-0.15, 0.485),
              (-0.245, 0.4), (-0.2, 0.22), (-0.15, 0.03)), tones.base, rim=True)  # fmt: skip
    for side in (-1, 1):
        pen.oval(side * 0.2, 0.39, 0.075, 0.09, tones.shade)
    pen.blob(((0, 0.02), (0.1, 0.1), (0.085, 0.24), (0, 0.3), (-0.085, 0.24), (-0.1, 0.1)), dog.snout)
    for side in (-1, 1):
        pen.stroke(((side * 0.085, 0.24), (side * 0.09, 0.44)), 0.11, tones.base)
        pen.oval(side * 0.1, 0.452, 0.088, 0.047, dog.socks, rim=True)
    pen.stroke(((0, 0.28), (0, 0.42)), 0.022, tones.ink)
    pen.stroke(((-0.14, 0.045), (0, 0.095), (0.14, 0.045)), 0.055, dog.collar, rim=True)
    pen.oval(0, 0.125, 0.038, 0.038, _GOLD, rim=True)
    _face(pen.at(0, -0.225, 0.4), dog)


def _face(pen: Pen, dog: _Dog) -> None:
    """A head seen from the front."""
    tones = dog.tones
    pen.blob(((0, -0.66), (0.36, -0.58), (0.54, -0.28), (0.55, 0.12), (0.4, 0.46), (0, 0.62), (-0.4, 0.46),
              (-0.55, 0.12), (-0.54, -0.28), (-0.36, -0.58)), tones.base, rim=True)  # fmt: skip
    if dog.patch:
        pen.oval(0.25, -0.14, 0.21, 0.25, dog.ears)
    for side in (-1, 1):
        pen.blob(((side * 0.3, -0.56), (side * 0.56, -0.5), (side * 0.76, -0.12), (side * 0.76, 0.28),
                  (side * 0.63, 0.44), (side * 0.5, 0.26), (side * 0.5, -0.1)), dog.ears, rim=True)  # fmt: skip
    pen.outline()
    pen.stroke(((0, 0.42), (0.01, 0.62)), 0.22, _TONGUE, 0.2, rim=True)
    for side in (-1, 1):
        pen.oval(side * 0.15, 0.27, 0.21, 0.19, dog.snout)
    pen.oval(0, 0.16, 0.2, 0.2, dog.snout)
    pen.blob(((-0.15, 0.03), (0, -0.01), (0.15, 0.03), (0.12, 0.14), (0, 0.2), (-0.12, 0.14)), dog.nose)
    pen.stroke(((-0.2, 0.36), (-0.08, 0.4), (0, 0.3), (0.08, 0.4), (0.2, 0.36)), 0.045, (86, 50, 48))
    for side in (-1, 1):
        _eye(pen, side * 0.24, -0.14, dog)


def _eye(pen: Pen, x: float, y: float, dog: _Dog) -> None:
    if dog.tones.color in (Color.BLACK, Color.BROWN) or (dog.patch and x > 0):
        pen.oval(x, y, 0.115, 0.13, (250, 240, 226))
    pen.oval(x, y, 0.085, 0.105, DARK)
    pen.oval(x + 0.03, y - 0.04, 0.035, 0.035, SNOW)


def _standing(pen: Pen, dog: _Dog) -> None:
    """A side view that looks left, the head in profile."""
    tones = dog.tones
    pen.stroke(((0.33, -0.02), (0.44, -0.14), (0.5, -0.3), (0.46, -0.42)), 0.1, tones.base, 0.06, rim=True)
    for x in (-0.09, 0.26):  # the far legs
        pen.stroke(((x, 0.15), (x, 0.44)), 0.1, tones.shade, rim=True)
    for x in (-0.21, 0.365):
        pen.stroke(((x + 0.01, 0.15), (x, 0.44)), 0.13, tones.base, 0.105, rim=True)
        pen.oval(x - 0.025, 0.453, 0.085, 0.046, dog.socks, rim=True)
    pen.blob(((-0.3, -0.12), (-0.16, -0.1), (0.05, -0.06), (0.28, -0.09), (0.41, -0.02), (0.44, 0.13), (0.37, 0.24),
              (0.12, 0.22), (-0.1, 0.29), (-0.25, 0.25), (-0.34, 0.1)), tones.base, rim=True)  # fmt: skip
    for x in (-0.2, 0.365):  # joins the near legs and the body
        pen.stroke(((x, 0.15), (x, 0.36)), 0.128, tones.base, 0.11)
    if dog.patch:
        pen.oval(0.17, 0.02, 0.12, 0.075, dog.ears)
    pen.stroke(((-0.37, 0.06), (-0.26, 0.05), (-0.16, -0.05)), 0.06, dog.collar, rim=True)
    pen.oval(-0.3, 0.1, 0.035, 0.035, _GOLD, rim=True)
    _profile(pen.at(-0.29, -0.24, 0.4), dog)


def _profile(pen: Pen, dog: _Dog) -> None:
    """A head that looks left."""
    tones = dog.tones
    pen.stroke(((-0.3, 0.36), (-0.36, 0.62)), 0.2, _TONGUE, 0.18, rim=True)
    pen.blob(((0.0, -0.62), (0.32, -0.5), (0.46, -0.1), (0.36, 0.36), (0.0, 0.48), (-0.4, 0.44), (-0.72, 0.36),
              (-0.84, 0.16), (-0.72, -0.04), (-0.44, -0.14), (-0.3, -0.46)), tones.base, rim=True)  # fmt: skip
    pen.blob(((-0.42, -0.06), (-0.7, 0.0), (-0.81, 0.16), (-0.7, 0.33), (-0.4, 0.41), (-0.22, 0.34), (-0.26, 0.1)),
             dog.snout)  # fmt: skip
    if dog.patch:
        pen.oval(-0.08, -0.18, 0.19, 0.2, dog.ears)
    pen.blob(((0.1, -0.56), (0.34, -0.52), (0.54, -0.2), (0.6, 0.22), (0.46, 0.5), (0.28, 0.38), (0.2, 0.0)),
             dog.ears, rim=True)  # fmt: skip
    pen.outline()
    pen.oval(-0.78, 0.04, 0.125, 0.105, dog.nose)
    pen.stroke(((-0.66, 0.27), (-0.48, 0.31), (-0.28, 0.27)), 0.045, (86, 50, 48))
    if dog.tones.color in (Color.BLACK, Color.BROWN) or dog.patch:
        pen.oval(-0.1, -0.17, 0.13, 0.145, (250, 240, 226))
    pen.oval(-0.1, -0.17, 0.095, 0.115, DARK)
    pen.oval(-0.13, -0.21, 0.04, 0.04, SNOW)
