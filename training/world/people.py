"""People, one unit high around the origin: a woman in a long dress, a man in a shirt and dark trousers."""

from dataclasses import dataclass
from random import Random

from training.world.pen import RGB, Pen, mix
from training.world.scene import Kind
from training.world.tones import DARK, Tones

_SKINS: tuple[RGB, ...] = ((255, 222, 194), (244, 198, 160), (224, 168, 124), (172, 116, 80), (122, 80, 56))
_HAIRS: tuple[RGB, ...] = ((44, 36, 42), (112, 70, 42), (240, 202, 104), (196, 88, 42))
_TROUSERS: tuple[RGB, ...] = ((42, 50, 84), (62, 64, 74), (70, 54, 46))
_SHOES: tuple[RGB, ...] = ((92, 58, 40), (60, 56, 70), (170, 60, 66))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """What a seed and a colour decide. `style` picks among cuts of hair, `wave` lifts an arm."""

    tones: Tones
    skin: RGB
    hair: RGB
    trousers: RGB
    shoes: RGB
    wave: bool
    style: int


def draw_person(kind: Kind, pen: Pen, tones: Tones, rng: Random) -> None:
    """Draw a whole person on the pen's RGBA image."""
    skin, hair = rng.choice(_SKINS), rng.choice(_HAIRS)
    if skin in _SKINS[-2:] and hair == _HAIRS[1]:
        hair = _HAIRS[0]  # brown would not stand out
    person = _Person(
        tones=tones,
        skin=skin,
        hair=hair,
        trousers=rng.choice(_TROUSERS),
        shoes=rng.choice(_SHOES),
        wave=rng.random() < 0.35,
        style=rng.randrange(2),
    )
    pen = pen.at(0, 0, 1, flip=rng.random() < 0.5)
    if kind is Kind.WOMAN:
        _woman(pen, person)
    else:
        _man(pen, person)


def _woman(pen: Pen, who: _Person) -> None:
    tones = who.tones
    low = -0.06 if who.style else -0.13
    pen.blob(((0, -0.495), (0.115, -0.46), (0.155, -0.36), (0.165, -0.2), (0.14, low), (0, low), (-0.14, low),
              (-0.165, -0.2), (-0.155, -0.36), (-0.115, -0.46)), who.hair, rim=True)  # fmt: skip
    for side in (-1, 1):
        pen.stroke(((side * 0.055, 0.3), (side * 0.055, 0.45)), 0.055, who.skin, rim=True)
        pen.oval(side * 0.068, 0.472, 0.06, 0.026, who.shoes, rim=True)
        up = who.wave and side > 0
        arm = ((0.1, -0.17), (0.2, -0.13), (0.25, -0.25)) if up else ((0.1, -0.17), (0.18, -0.04), (0.2, 0.09))
        pen.stroke([(side * x, y) for x, y in arm], 0.062, who.skin, 0.054, rim=True)
    pen.stroke(((0, -0.27), (0, -0.2)), 0.075, who.skin)
    pen.poly(((-0.085, -0.225), (0.085, -0.225), (0.125, -0.19), (0.09, -0.03), (0.165, 0.1), (0.275, 0.415), (0, 0.44),
              (-0.275, 0.415), (-0.165, 0.1), (-0.09, -0.03), (-0.125, -0.19)), tones.base, 0.05, rim=True)  # fmt: skip
    for side in (-1, 1):
        pen.stroke(((side * 0.12, -0.165), (side * 0.145, -0.12)), 0.075, tones.base)
        pen.stroke(((side * 0.055, 0.12), (side * 0.1, 0.38)), 0.016, tones.shade, 0.03)
    pen.oval(0, -0.232, 0.052, 0.04, who.skin)
    pen.poly(((-0.092, -0.05), (0.092, -0.05), (0.098, -0.005), (-0.098, -0.005)), tones.deep)
    pen.oval(0, -0.345, 0.115, 0.118, who.skin, rim=True)
    _face(pen, who)
    if who.style:  # a parting at the side
        pen.blob(((-0.12, -0.32), (-0.13, -0.42), (-0.05, -0.48), (0.06, -0.48), (0.13, -0.42), (0.122, -0.32),
                  (0.07, -0.4), (-0.03, -0.43), (-0.085, -0.39)), who.hair)  # fmt: skip
    else:  # a fringe
        pen.blob(((-0.125, -0.33), (-0.13, -0.42), (-0.06, -0.485), (0.06, -0.485), (0.13, -0.42), (0.125, -0.33),
                  (0.09, -0.39), (0.0, -0.4), (-0.09, -0.39)), who.hair)  # fmt: skip
    pen.outline()


def _man(pen: Pen, who: _Person) -> None:
    tones = who.tones
    for side in (-1, 1):
        pen.oval(side * 0.09, 0.467, 0.075, 0.031, who.shoes, rim=True)
        pen.stroke(((side * 0.062, 0.12), (side * 0.07, 0.41)), 0.125, who.trousers, 0.11, rim=True)
        up = who.wave and side > 0
        arm = ((0.15, -0.15), (0.24, -0.12), (0.27, -0.27)) if up else ((0.15, -0.16), (0.205, -0.02), (0.21, 0.11))
        points = [(side * x, y) for x, y in arm]
        pen.stroke(points, 0.07, who.skin, 0.066, rim=True)
        sleeve = (points[0], points[1]) if up else (points[0], (side * 0.205, -0.01))
        pen.stroke(sleeve, 0.095, tones.base, 0.09, rim=True)
    pen.box(-0.05, 0.1, 0.05, 0.18, who.trousers)
    pen.poly(((-0.09, -0.235), (0.09, -0.235), (0.185, -0.19), (0.145, 0.0), (0.145, 0.16), (-0.145, 0.16),
              (-0.145, 0.0), (-0.185, -0.19)), tones.base, 0.045, rim=True)  # fmt: skip
    pen.stroke(((-0.125, 0.15), (0.125, 0.15)), 0.035, mix(who.trousers, (0, 0, 0), 0.3))
    pen.stroke(((0, -0.2), (0, 0.11)), 0.016, tones.shade)
    pen.stroke(((0, -0.28), (0, -0.2)), 0.085, who.skin)
    for side in (-1, 1):
        pen.poly(((side * 0.02, -0.175), (side * 0.085, -0.245), (side * 0.11, -0.19), (side * 0.055, -0.145)),
                 tones.deep, 0.01)  # fmt: skip
        pen.oval(side * 0.115, -0.345, 0.028, 0.035, who.skin, rim=True)
    pen.oval(0, -0.355, 0.11, 0.12, who.skin, rim=True)
    _face(pen, who)
    tip = -0.07 if who.style else 0.05
    pen.blob(((-0.122, -0.36), (-0.13, -0.44), (-0.07, -0.495), (0.05, -0.498), (0.125, -0.45), (0.122, -0.36),
              (0.09, -0.415), (tip, -0.425), (-0.09, -0.41)), who.hair)  # fmt: skip
    pen.outline()


def _face(pen: Pen, who: _Person) -> None:
    for side in (-1, 1):
        pen.oval(side * 0.045, -0.34, 0.0165, 0.022, DARK)
        pen.oval(side * 0.07, -0.298, 0.021, 0.016, mix(who.skin, (240, 90, 90), 0.4))
    pen.stroke(((-0.035, -0.285), (0, -0.268), (0.035, -0.285)), 0.0145, (150, 50, 50))
