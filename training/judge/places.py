"""Which landscape is behind things, by its colours from top to bottom. Compared with what the renderer draws."""

from functools import cache

import numpy as np
from PIL import Image

from training.judge.colors import COLORS, Pixels, lab
from training.judge.foreground import pixels_of
from training.judge.regions import Mask
from training.world.render import render
from training.world.scene import RGB, Backdrop, Color, Place, Scene

_CELLS = 16  # a side
_SAMPLES = 24
_CANVAS = 64
_NEIGHBOURS = 3
_STRANGE = 26.0  # Lab distance from all samples beyond which a picture shows none of the landscapes


def backdrop_shown(image: Image.Image, hidden: Mask | None = None) -> Place | Color | None:
    """The nearest landscape or plain colour, if any is near. What is behind `hidden` (of any size) does not count."""
    away = distances(image, hidden)
    best = min(away, key=lambda name: away[name])
    return best if away[best] < _STRANGE else None


def distances(image: Image.Image, hidden: Mask | None = None) -> dict[Place | Color, float]:
    """Mean Lab distance to the nearest samples of each backdrop."""
    seen = np.ones((_CELLS, _CELLS), np.float32)
    if hidden is not None:
        cover = Image.fromarray(hidden.astype(np.uint8) * 255).resize((_CELLS, _CELLS), Image.Resampling.BOX)
        seen = (np.asarray(cover) < 64).astype(np.float32)
    cells = _cells_of(image)
    away: dict[Place | Color, float] = {}
    for name, samples in _samples():
        apart = np.sqrt(((samples - cells) ** 2).sum(axis=-1)) * seen
        total = apart.sum(axis=(1, 2)) / max(1.0, float(seen.sum()))
        away[name] = float(np.sort(total)[:_NEIGHBOURS].mean())
    return away


def _cells_of(image: Image.Image) -> Pixels:
    square = image.convert("RGB").resize((_CANVAS, _CANVAS), Image.Resampling.BOX)
    return lab(pixels_of(square, _CELLS))


@cache
def _samples() -> tuple[tuple[Place | Color, Pixels], ...]:
    """Cells [n, g, g, 3] of every landscape and every plain colour."""
    places = [(place, np.stack([_cells_of(_landscape(place, seed)) for seed in range(_SAMPLES)])) for place in Place]
    plain = [
        (color, np.broadcast_to(lab(np.array(RGB[color], np.float32)), (1, _CELLS, _CELLS, 3))) for color in COLORS
    ]
    return (*places, *plain)


def _landscape(place: Place, seed: int) -> Image.Image:
    return render(Scene(things=(), backdrop=Backdrop(seed=seed, place=place)), _CANVAS, _CANVAS)
