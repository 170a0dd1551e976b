"""A futuristic city at dusk: tall towers with lit windows and neon edges."""

from random import Random

from training.world.pen import RGB, Pen, mix
from training.world.scenery import draw_moon, draw_star, fill_sky

_NEON: tuple[RGB, ...] = ((70, 230, 250), (255, 92, 200), (160, 120, 255), (255, 206, 96))
_PANE = 0.022  # a window's height, in short sides


def draw_city(pen: Pen, rng: Random) -> None:
    """Fill the pen's RGB image."""
    high, hue = pen.height, rng.random()
    glow = mix((236, 84, 170), (252, 130, 120), hue)
    fill_sky(
        pen,
        (
            (0, mix((20, 16, 62), (14, 24, 70), hue)),
            (0.45, mix((84, 44, 138), (60, 54, 140), hue)),
            (0.8, glow),
            (1, glow),
        ),
    )
    for _ in range(rng.randrange(6, 12)):
        draw_star(pen, pen.width * rng.random(), high * rng.uniform(0.02, 0.3), 0.016, (214, 214, 255))
    x, y, r = pen.width * rng.uniform(0.2, 0.8), high * rng.uniform(0.2, 0.34), rng.uniform(0.13, 0.19)
    if rng.random() < 0.5:
        draw_moon(pen, x, y, r, crescent=False)
    else:
        _planet(pen, x, y, r)
    far = mix((110, 60, 150), (96, 70, 160), hue)
    for share, low, tall in ((0.25, 0.3, 0.52), (0.62, 0.25, 0.46)):
        _row(pen, rng, mix(far, (24, 18, 66), share), high * rng.uniform(low, low + 0.03), high * tall)
    _skyline(pen, rng, hue)
    _traffic(pen, rng)
    _street(pen, rng)


def _planet(pen: Pen, x: float, y: float, r: float) -> None:
    pen.glow(x, y, r * 2.2, r * 2.2, (255, 160, 220), 0.45)
    pen.stroke(((x + 1.55 * r, y - 0.42 * r), (x, y - 0.1 * r), (x - 1.55 * r, y + 0.42 * r)), 0.022, (240, 210, 250))
    pen.oval(x, y, r, r, (250, 190, 170))
    pen.oval(x + 0.2 * r, y + 0.12 * r, r * 0.72, r * 0.8, (240, 168, 166))
    pen.stroke(((x + 1.55 * r, y - 0.42 * r), (x, y + 0.18 * r), (x - 1.55 * r, y + 0.42 * r)), 0.028, (240, 210, 250))


def _row(pen: Pen, rng: Random, fill: RGB, top: float, swing: float) -> None:
    """Distant towers without detail."""
    x = -0.02
    while x < pen.width:
        wide = rng.uniform(0.07, 0.13)
        y = top + swing * rng.uniform(0.1, 0.75)
        pen.box(x, y, x + wide, pen.height, fill)
        if rng.random() < 0.5:
            pen.oval(x + wide / 2, y, wide / 2, wide / 2, fill)
        else:
            pen.poly(((x, y), (x + wide * 0.5, y - rng.uniform(0.05, 0.12)), (x + wide, y)), fill)
        x += wide + rng.uniform(0.0, 0.05)


def _skyline(pen: Pen, rng: Random, hue: float) -> None:
    """The near towers, tallest at the sides."""
    x = rng.uniform(-0.06, 0.0)
    while x < pen.width:
        wide = rng.uniform(0.12, 0.18)
        aside = abs((x + wide / 2) / pen.width - 0.5) * 2
        top = pen.height * (0.62 - 0.34 * aside + rng.uniform(-0.1, 0.12))
        body = mix(mix((30, 24, 78), (22, 34, 86), hue), (70, 50, 120), rng.random() * 0.5)
        _tower(pen, rng, (x, max(0.28, top)), wide, body)
        x += wide + rng.uniform(0.015, 0.05)


def _tower(pen: Pen, rng: Random, at: tuple[float, float], wide: float, body: RGB) -> None:
    x, y = at
    neon, mid, crown = rng.choice(_NEON), at[0] + wide / 2, rng.randrange(4)
    edge = 0.014
    if crown == 0:  # a dome
        pen.oval(mid, y, wide / 2, wide * 0.5, neon)
        pen.oval(mid, y, wide / 2 - edge, wide * 0.5 - edge, body)
    elif crown == 1:  # a spire with a light
        pen.poly(((x + wide * 0.2, y), (mid, y - wide * 1.3), (x + wide * 0.8, y)), body)
        pen.stroke(((mid, y - wide * 0.9), (mid, y - wide * 1.4)), edge, neon)
        pen.oval(mid, y - wide * 1.45, 0.016, 0.016, mix(neon, (255, 255, 255), 0.4))
    elif crown == 2:  # a slanted roof
        pen.poly(((x, y + 0.01), (x, y - wide * 0.8), (x + wide, y + 0.01)), neon)
        pen.poly(((x + edge, y + 0.02), (x + edge, y - wide * 0.8 + 2 * edge), (x + wide - edge, y + 0.02)), body)
    else:  # a disc on a neck
        pen.box(mid - wide * 0.12, y - wide * 0.5, mid + wide * 0.12, y, body)
        pen.oval(mid, y - wide * 0.5, wide * 0.62, wide * 0.2, mix(body, (120, 100, 180), 0.4))
        pen.oval(mid, y - wide * 0.47, wide * 0.5, wide * 0.07, neon)
    pen.box(x, y, x + wide, pen.height, body)
    for side in (x, x + wide - edge):
        pen.box(side, y, side + edge, pen.height, neon)
    _windows(pen, rng, (x + 0.03, y + 0.035), wide - 0.06, neon)


def _windows(pen: Pen, rng: Random, at: tuple[float, float], wide: float, neon: RGB) -> None:
    columns = max(2, round(wide / 0.036))
    step = wide / columns
    warm = mix((255, 226, 140), neon, rng.choice((0.0, 0.0, 0.6)))
    y = at[1]
    while y < pen.height * 0.9:
        for i in range(columns):
            if rng.random() < 0.62:
                left = at[0] + (i + 0.15) * step
                pen.box(
                    left,
                    y,
                    left + step * 0.7,
                    y + _PANE,
                    warm if rng.random() < 0.85 else mix(warm, (255, 255, 255), 0.5),
                )
        y += 0.046


def _traffic(pen: Pen, rng: Random) -> None:
    """Flying cars and their trails."""
    for _ in range(rng.randrange(1, 3)):
        x, y, way = pen.width * rng.uniform(0.2, 0.8), pen.height * rng.uniform(0.14, 0.55), rng.choice((-1, 1))
        neon = rng.choice(_NEON[:2])
        pen.stroke(
            ((x - way * 0.05, y + 0.008), (x - way * 0.18, y + 0.008)), 0.018, mix(neon, (90, 50, 140), 0.35), 0.008
        )
        pen.oval(x - way * 0.008, y - 0.01, 0.034, 0.026, (150, 226, 250))
        pen.stroke(((x - way * 0.055, y + 0.008), (x + way * 0.06, y + 0.012)), 0.042, (236, 84, 110), 0.022)
        pen.oval(x + way * 0.06, y + 0.01, 0.012, 0.012, (255, 244, 170))


def _street(pen: Pen, rng: Random) -> None:
    """A dark road in the foreground with lines of light."""
    y, neon = pen.height * 0.91, rng.choice(_NEON[:3])
    pen.box(0, y, pen.width, pen.height, (22, 18, 54))
    pen.box(0, y, pen.width, y + 0.014, neon)
    mid = pen.width / 2
    for side in (-1, 1):
        pen.poly(((mid + side * 0.05, y + 0.02), (mid + side * 0.07, y + 0.02), (mid + side * 0.3, pen.height),
                  (mid + side * 0.25, pen.height)), mix(neon, (255, 255, 255), 0.2))  # fmt: skip
