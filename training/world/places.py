"""The landscapes. Each is a whole picture that keeps its lower middle calm, so that things can stand there."""

from random import Random

from PIL import Image

from training.world.city import draw_city
from training.world.pen import RGB, Pen, mix
from training.world.scene import Place
from training.world.scenery import (
    draw_cactus,
    draw_cloud,
    draw_hills,
    draw_leaf_tree,
    draw_moon,
    draw_palm,
    draw_peaks,
    draw_pine,
    draw_star,
    draw_sun,
    fill_sky,
)

_SCALE = 2  # drawn this much larger, then reduced
_SNOW: RGB = (246, 250, 255)
_FLOWERS: tuple[RGB, ...] = ((244, 92, 92), (255, 255, 255), (252, 210, 64), (238, 130, 190), (150, 100, 220))


def draw_place(place: Place, seed: int, width: int, height: int) -> Image.Image:
    """The landscape as an RGB image."""
    image = Image.new("RGB", (width * _SCALE, height * _SCALE))
    pen = Pen(image=image, unit=min(image.size), left=0, top=0)
    rng = Random(seed)
    match place:
        case Place.SUNSET_MOUNTAINS:
            _sunset(pen, rng)
        case Place.FUTURISTIC_CITY:
            draw_city(pen, rng)
        case Place.BEACH:
            _beach(pen, rng)
        case Place.FOREST:
            _forest(pen, rng)
        case Place.NIGHT_SKY:
            _night(pen, rng)
        case Place.SNOW:
            _snow(pen, rng)
        case Place.DESERT:
            _desert(pen, rng)
        case Place.MEADOW:
            _meadow(pen, rng)
    return image.reduce(_SCALE)


def _side(pen: Pen, rng: Random) -> float:
    """An x near the left or the right edge."""
    share = rng.uniform(0.06, 0.22)
    return pen.width * (share if rng.random() < 0.5 else 1 - share)


def _sunset(pen: Pen, rng: Random) -> None:
    high = pen.height
    dusk = rng.uniform(0, 1)
    top, mid = mix((92, 52, 140), (60, 62, 150), dusk), mix((232, 92, 130), (246, 112, 104), dusk)
    fill_sky(
        pen, ((0, top), (0.3, mix(top, mid, 0.62)), (0.5, mid), (0.68, (255, 166, 84)), (0.85, (255, 216, 124))), 0, 0.8
    )
    x, lake = pen.width * rng.uniform(0.28, 0.72), rng.random() < 0.55
    draw_sun(pen, x, high * 0.5, rng.uniform(0.12, 0.16), (255, 242, 172), (255, 206, 110))
    for _ in range(rng.randrange(2, 4)):
        cx, cy, half = pen.width * rng.uniform(0.1, 0.9), high * rng.uniform(0.08, 0.3), rng.uniform(0.1, 0.2)
        pen.stroke(((cx - half, cy), (cx + half, cy)), 0.028, mix(mid, (255, 190, 150), 0.45))
    far, near = mix((196, 92, 130), (176, 92, 150), dusk), (64, 36, 88)
    draw_peaks(pen, high * 0.72, rng.uniform(0.24, 0.3), far, rng, cap=mix(far, (255, 206, 170), 0.55))
    draw_peaks(pen, high * 0.8, rng.uniform(0.2, 0.25), mix(far, near, 0.55), rng)
    if lake:
        fill_sky(pen, ((0, (250, 150, 106)), (0.6, (180, 84, 138)), (1, (108, 58, 132))), 0.77, 1.0)
        for i in range(4):
            y, half = high * (0.8 + 0.035 * i), 0.14 - 0.022 * i
            pen.stroke(((x - half, y), (x + half, y)), 0.018, (255, 218, 140))
        draw_hills(pen, high * 0.97, 0.03, near, rng)
    else:
        draw_hills(pen, high * 0.81, 0.05, mix(far, near, 0.8), rng)
        draw_hills(pen, high * 0.9, 0.04, near, rng)
    for _ in range(rng.randrange(2, 5)):
        draw_pine(pen, _side(pen, rng), high * 0.97, rng.uniform(0.14, 0.24), mix(near, (20, 10, 40), 0.5))


def _beach(pen: Pen, rng: Random) -> None:
    high, flip = pen.height, rng.random() < 0.5
    fill_sky(pen, ((0, (84, 178, 238)), (0.7, (168, 222, 248)), (1, (222, 244, 250))), 0, 0.5)
    draw_sun(
        pen,
        pen.width * rng.uniform(0.25, 0.75),
        high * rng.uniform(0.13, 0.22),
        0.085,
        (255, 232, 110),
        (255, 246, 190),
    )
    for _ in range(rng.randrange(1, 4)):
        at = (pen.width * rng.uniform(0.1, 0.9), high * rng.uniform(0.1, 0.34))
        draw_cloud(pen, *at, rng.uniform(0.05, 0.075), (255, 255, 255))
    sea = mix((26, 132, 196), (30, 152, 186), rng.random())
    fill_sky(pen, ((0, sea), (1, mix(sea, (80, 214, 216), 0.8))), 0.46, 0.78)
    for _ in range(rng.randrange(4, 8)):
        x, y, half = pen.width * rng.uniform(0.05, 0.95), high * rng.uniform(0.5, 0.62), rng.uniform(0.03, 0.08)
        pen.stroke(((x - half, y), (x, y - 0.012), (x + half, y)), 0.016, mix(sea, (255, 255, 255), 0.5))
    if rng.random() < 0.6:
        _sail(pen, pen.width * rng.uniform(0.25, 0.75), high * 0.49)
    shape = rng.randrange(2**31)
    for y, fill in ((0.655, (250, 254, 255)), (0.68, (226, 196, 140)), (0.705, (246, 218, 160))):
        draw_hills(pen, high * y, 0.03, fill, Random(shape))  # the same line thrice: foam, wet sand, sand
    for _ in range(rng.randrange(3, 6)):
        x, y = _side(pen, rng), high * rng.uniform(0.84, 0.97)
        pen.oval(x, y, 0.016, 0.012, rng.choice(((232, 150, 120), (255, 250, 240), (214, 180, 130))))
    side = pen.at(pen.width if flip else 0, 0, 1, flip=flip)
    draw_palm(side, rng.uniform(0.05, 0.12), high * 0.86, rng.uniform(0.5, 0.6))


def _sail(pen: Pen, x: float, y: float) -> None:
    """A small boat on the horizon."""
    pen.poly(((x - 0.01, y - 0.12), (x - 0.01, y - 0.02), (x - 0.065, y - 0.02)), (255, 255, 255))
    pen.poly(((x + 0.008, y - 0.1), (x + 0.05, y - 0.02), (x + 0.008, y - 0.02)), (246, 110, 96))
    pen.poly(
        ((x - 0.07, y - 0.012), (x + 0.065, y - 0.012), (x + 0.04, y + 0.018), (x - 0.045, y + 0.018)), (120, 72, 56)
    )


def _forest(pen: Pen, rng: Random) -> None:
    high, warm = pen.height, rng.random()
    mist = mix((206, 236, 214), (240, 244, 196), warm)
    fill_sky(pen, ((0, mix((140, 206, 190), (180, 216, 150), warm)), (0.6, mist), (1, mist)))
    if rng.random() < 0.6:
        pen.glow(pen.width * rng.uniform(0.3, 0.7), high * 0.3, 0.4, 0.4, (255, 252, 214), 0.8)
    deep = mix((22, 92, 66), (44, 104, 44), warm)
    for share, base, tall in ((0.3, 0.62, 0.42), (0.6, 0.7, 0.5)):
        fill = mix(mist, deep, share)
        draw_hills(pen, high * base - 0.03, 0.015, fill, rng)
        x = rng.uniform(-0.05, 0.05)
        while x < pen.width + 0.1:
            grow = draw_pine if rng.random() < 0.65 else draw_leaf_tree
            grow(pen, x, high * base, tall * rng.uniform(0.75, 1.1), mix(fill, deep, rng.uniform(0, 0.16)))
            x += rng.uniform(0.14, 0.22)
    ground = mix((92, 166, 78), (124, 172, 72), warm)
    draw_hills(pen, high * 0.7, 0.02, ground, rng)
    if rng.random() < 0.5:
        mid = pen.width / 2
        pen.poly(((mid - 0.03, high * 0.715), (mid + 0.03, high * 0.715), (mid + 0.1, high * 0.82), (mid + 0.24, high),
                  (mid - 0.2, high), (mid - 0.06, high * 0.82)), mix(ground, (222, 196, 140), 0.75), 0.05)  # fmt: skip
    for edge in (0.02, 0.98, 0.17, 0.83):
        if edge in (0.02, 0.98) or rng.random() < 0.5:
            grow = draw_pine if rng.random() < 0.5 else draw_leaf_tree
            grow(
                pen,
                pen.width * edge,
                high * rng.uniform(0.84, 0.94),
                rng.uniform(0.6, 0.8),
                mix(deep, (40, 130, 60), rng.random()),
            )
    draw_hills(pen, high * 0.97, 0.02, mix(ground, deep, 0.45), rng)


def _night(pen: Pen, rng: Random) -> None:
    high, hue = pen.height, rng.random()
    fill_sky(pen, ((0, mix((8, 12, 46), (22, 14, 58), hue)), (0.6, mix((24, 48, 112), (50, 44, 120), hue)),
                   (0.85, mix((62, 96, 166), (110, 88, 170), hue))))  # fmt: skip
    moon_x, moon_y, moon_r = pen.width * rng.uniform(0.2, 0.8), high * rng.uniform(0.18, 0.3), rng.uniform(0.09, 0.125)
    draw_moon(pen, moon_x, moon_y, moon_r, crescent=rng.random() < 0.6)
    for i in range(rng.randrange(38, 56) * round(pen.width + pen.height) // 2):
        x, y, r = pen.width * rng.random(), high * rng.uniform(0.0, 0.68), rng.uniform(0.006, 0.011)
        if abs(x - moon_x) < moon_r * 1.4 and abs(y - moon_y) < moon_r * 1.4:
            continue
        if i % 8 == 0:
            draw_star(pen, x, y, 3 * r, (255, 250, 214))
        else:
            pen.oval(x, y, r, r, mix((150, 170, 230), (255, 255, 240), rng.random()))
    far = mix((28, 46, 98), (50, 40, 100), hue)
    draw_hills(pen, high * 0.76, 0.05, far, rng)
    near = mix(far, (8, 12, 34), 0.55)
    draw_hills(pen, high * 0.86, 0.04, near, rng)
    for _ in range(rng.randrange(3, 7)):
        draw_pine(
            pen, _side(pen, rng), high * rng.uniform(0.88, 0.94), rng.uniform(0.12, 0.22), mix(near, (4, 8, 24), 0.5)
        )


def _snow(pen: Pen, rng: Random) -> None:
    high, hue = pen.height, rng.random()
    fill_sky(
        pen,
        (
            (0, mix((136, 188, 230), (170, 186, 226), hue)),
            (0.7, mix((214, 234, 248), (250, 226, 226), hue)),
            (1, (240, 244, 250)),
        ),
        0,
        0.7,
    )
    if rng.random() < 0.6:
        draw_sun(pen, pen.width * rng.uniform(0.2, 0.8), high * 0.2, 0.07, (255, 250, 222), (255, 250, 230))
    if rng.random() < 0.5:
        draw_peaks(pen, high * 0.66, rng.uniform(0.22, 0.3), (160, 186, 218), rng, cap=_SNOW)
    draw_hills(pen, high * 0.62, 0.05, (204, 222, 242), rng)
    for _ in range(rng.randrange(4, 8)):
        tall = rng.uniform(0.12, 0.2)
        draw_pine(pen, pen.width * rng.random(), high * 0.62 + tall * 0.25, tall, (98, 148, 150), _SNOW)
    draw_hills(pen, high * 0.7, 0.05, (226, 238, 250), rng)
    for _ in range(rng.randrange(2, 5)):
        draw_pine(pen, _side(pen, rng), high * rng.uniform(0.78, 0.86), rng.uniform(0.32, 0.46), (54, 116, 110), _SNOW)
    draw_hills(pen, high * 0.86, 0.04, (244, 248, 254), rng)
    if rng.random() < 0.7:
        for _ in range(rng.randrange(20, 40)):
            r = rng.uniform(0.007, 0.012)
            pen.oval(pen.width * rng.random(), high * rng.uniform(0, 0.75), r, r, (255, 255, 255))


def _desert(pen: Pen, rng: Random) -> None:
    high, hot = pen.height, rng.choice((0.0, 0.08, 0.85, 1.0))  # between them lie muddy skies
    fill_sky(
        pen,
        (
            (0, mix((94, 182, 226), (250, 166, 84), hot)),
            (0.75, mix((226, 236, 214), (255, 224, 150), hot)),
            (1, (255, 234, 180)),
        ),
        0,
        0.66,
    )
    draw_sun(
        pen,
        pen.width * rng.uniform(0.2, 0.8),
        high * rng.uniform(0.16, 0.3),
        rng.uniform(0.08, 0.11),
        (255, 246, 186),
        (255, 240, 170),
    )
    if rng.random() < 0.5:
        _mesas(pen, high * 0.6, mix((206, 122, 84), (196, 104, 76), hot), rng)
    sand = mix((244, 196, 106), (240, 184, 92), hot)
    for y, swing, shade in ((0.59, 0.06, 0.3), (0.68, 0.06, 0.12), (0.8, 0.05, 0.0)):
        fill = mix(sand, (190, 112, 60), shade)
        shape = rng.randrange(2**31)
        draw_hills(pen, high * y, swing, mix(fill, (255, 244, 190), 0.5), Random(shape))  # a lit crest
        draw_hills(pen, high * y + 0.018, swing, fill, Random(shape))
    green = mix((62, 138, 84), (88, 140, 70), rng.random())
    for _ in range(rng.randrange(1, 3)):
        draw_cactus(
            pen, pen.width * rng.uniform(0.2, 0.8), high * 0.69, rng.uniform(0.12, 0.17), mix(green, sand, 0.25)
        )
    for _ in range(rng.randrange(1, 3)):
        draw_cactus(pen, _side(pen, rng), high * rng.uniform(0.84, 0.93), rng.uniform(0.3, 0.42), green)


def _mesas(pen: Pen, y: float, fill: RGB, rng: Random) -> None:
    """Table mountains on the horizon."""
    for _ in range(rng.randrange(1, 4)):
        x, half, tall = pen.width * rng.random(), rng.uniform(0.08, 0.16), rng.uniform(0.1, 0.18)
        pen.poly(
            ((x - half * 1.3, y + 0.1), (x - half, y - tall), (x + half, y - tall), (x + half * 1.3, y + 0.1)),
            fill,
            0.02,
        )


def _meadow(pen: Pen, rng: Random) -> None:
    high, hue = pen.height, rng.random()
    fill_sky(pen, ((0, mix((76, 164, 236), (110, 186, 240), hue)), (1, (214, 240, 252))), 0, 0.66)
    if rng.random() < 0.7:
        draw_sun(pen, pen.width * rng.uniform(0.12, 0.88), high * 0.16, 0.075, (255, 228, 96), (255, 246, 190))
    for _ in range(rng.randrange(2, 5)):
        at = (pen.width * rng.uniform(0.05, 0.95), high * rng.uniform(0.12, 0.36))
        draw_cloud(pen, *at, rng.uniform(0.055, 0.09), (255, 255, 255))
    grass = mix((112, 192, 78), (140, 200, 76), hue)
    draw_hills(pen, high * 0.56, 0.06, mix(grass, (60, 150, 120), 0.5), rng)
    for _ in range(rng.randrange(1, 4)):
        draw_leaf_tree(pen, pen.width * rng.random(), high * 0.62, rng.uniform(0.1, 0.18), (62, 144, 80))
    draw_hills(pen, high * 0.64, 0.05, mix(grass, (50, 140, 80), 0.3), rng)
    draw_hills(pen, high * 0.74, 0.04, grass, rng)
    picks = rng.sample(_FLOWERS, 3)
    for _ in range(rng.randrange(12, 22)):
        x, depth = pen.width * rng.random(), rng.random()
        if abs(x / pen.width - 0.5) < 0.3 and depth < 0.7:
            continue  # keeps the middle calm
        _blossom(pen, x, high * (0.82 + 0.16 * depth), 0.014 + 0.012 * depth, rng.choice(picks))


def _blossom(pen: Pen, x: float, y: float, r: float, fill: RGB) -> None:
    pen.stroke(((x, y), (x, y + 2.4 * r)), 0.012, (66, 144, 62))
    for dx, dy in ((-0.8, 0), (0.8, 0), (0, -0.8), (0, 0.8)):
        pen.oval(x + dx * r, y + dy * r, r * 0.85, r * 0.85, fill)
    pen.oval(x, y, r * 0.6, r * 0.6, (255, 196, 50) if fill != _FLOWERS[2] else (236, 140, 40))
