"""How much a region looks like each kind of thing, by its silhouette and the part of it that has the thing's colour.

Compared with things that the renderer draws in several poses, turns and looks, in the same colour before the same
backdrop, so that what blends into the backdrop does so on both sides. Knows nothing of places on the canvas.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.judge.colors import COLORS, Names, Pixels, names_of
from training.judge.foreground import FAR
from training.judge.regions import Mask, filled
from training.world.render import mask, render
from training.world.scene import ANIMALS, RGB, SHAPES, Backdrop, Color, Kind, Pose, Scene, Thing

LEAST = 0.6  # likeness below which nothing is recognized
TIE = 0.02  # likeness by which another kind may win without counting
_SHAPE_SEEDS, _OTHER_SEEDS = 12, 24  # looks of a kind that are drawn
_CANVAS, _SIZE = 64, 0.66
_GRID, _REACH = 40, 1.35  # cells a side; half a side in roots of the silhouette's area
_BLENDS = 0.97  # the share of a thing below which what stands out of it is a look of its own
_SHARE = 0.55  # the least share of a look's coloured part that has the colour
_Flat = NDArray[np.float32]  # [n, _GRID * _GRID]
_Cells = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows [g, 1], columns [1, g]
_LOOKS = tuple((kind, pose) for kind in Kind for pose in (tuple(Pose) if kind in ANIMALS else (None,)))


class Behind(Enum):
    """What is behind a thing where that is no plain colour."""

    KNOWN = "known"  # so that the silhouette is
    UNKNOWN = "unknown"  # only the part that has the thing's colour can be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """The best likeness of each kind and pose, 0..1, and the named colour of the expected look's coloured part."""

    scores: dict[tuple[Kind, Pose | None], float]
    color: Color

    def of(self, kind: Kind, pose: Pose | None = None) -> float:
        """Of a kind in one pose, or in its best."""
        return max(score for look, score in self.scores.items() if look[0] is kind and pose in (None, look[1]))

    def rival(self, kind: Kind) -> Kind:
        """The best other kind."""
        others = {look: score for look, score in self.scores.items() if look[0] is not kind}
        return max(others, key=lambda look: others[look])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Templates:
    """Silhouettes and coloured parts on the grid, of n looks."""

    looks: tuple[tuple[Kind, Pose | None], ...]
    silhouettes: _Flat
    bodies: _Flat


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """A thing as the renderer draws it: where it is, that without holes, and where it has the thing's colour."""

    pixels: Pixels
    mask: Mask
    whole: Mask
    body: Mask


def likeness(region: Mask, pixels: Pixels, kind: Kind, color: Color, behind: Color | Behind) -> Likeness:
    """Of a region of a picture to all kinds in that colour."""
    templates = _templates(color, behind)
    names = names_of(pixels)
    colored = region & (names == COLORS.index(color))
    shape = filled(colored if behind is Behind.UNKNOWN else region)
    if not shape.any():
        return Likeness(scores=dict.fromkeys(_LOOKS, 0.0), color=color)
    at = _cells(shape)
    silhouette, body = _on_grid(shape, at), _on_grid(colored, at)
    both = _overlap(templates.silhouettes, silhouette) + _overlap(templates.bodies, body)
    both = both / 2
    scores: dict[tuple[Kind, Pose | None], float] = {}
    for look, score in zip(templates.looks, both.tolist(), strict=True):
        scores[look] = max(score, scores.get(look, 0.0))
    own = np.array([look[0] is kind for look in templates.looks])
    best = templates.bodies[int(np.where(own, both, -1).argmax())] > 0
    height, width = shape.shape
    seen = names[np.clip(at[0], 0, height - 1), np.clip(at[1], 0, width - 1)].ravel()
    return Likeness(scores=scores, color=_prevailing(seen[best & silhouette], color))


def _prevailing(names: Names, color: Color) -> Color:
    """The expected colour if it clearly prevails, else the most frequent other one."""
    counts = np.bincount(names, minlength=len(COLORS))
    at = COLORS.index(color)
    if len(names) and counts[at] >= _SHARE * len(names):
        return color
    counts[at] = 0
    return COLORS[int(counts.argmax())]


def _overlap(templates: _Flat, region: Mask) -> _Flat:
    """Intersection over union [n]."""
    flat = region.astype(np.float32)
    shared = templates @ flat
    union: _Flat = templates.sum(axis=1) + flat.sum() - shared
    return np.asarray(shared / np.maximum(union, 1), dtype=np.float32)


def _cells(shape: Mask) -> _Cells:
    """The pixels that a grid around the region's centroid hits, also outside the picture."""
    ys, xs = np.nonzero(shape)
    steps = np.linspace(-_REACH, _REACH, _GRID) * np.sqrt(len(ys))
    rows, columns = np.rint(ys.mean() + steps), np.rint(xs.mean() + steps)
    return rows.astype(np.int64)[:, None], columns.astype(np.int64)[None]


def _on_grid(region: Mask, at: _Cells) -> Mask:
    """The region at the grid's pixels, flat; nothing lies outside the picture."""
    height, width = region.shape
    rows, columns = at
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    picked = region[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return np.asarray(picked & inside).ravel()


@cache
def _templates(color: Color, behind: Color | Behind) -> _Templates:
    looks, silhouettes, bodies = [], [], []
    for kind, pose in _LOOKS:
        for seed in range(_SHAPE_SEEDS if kind in SHAPES else _OTHER_SEEDS):
            drawn = _drawn(kind, pose, color, seed)
            for shape in _shapes(drawn, behind):
                at = _cells(shape)
                looks.append((kind, pose))
                silhouettes.append(_on_grid(shape, at))
                bodies.append(_on_grid(drawn.body & shape, at))
    return _Templates(
        looks=tuple(looks),
        silhouettes=np.array(silhouettes, dtype=np.float32),
        bodies=np.array(bodies, dtype=np.float32),
    )


def _shapes(drawn: _Drawn, behind: Color | Behind) -> list[Mask]:
    """What may stand out: all of a thing, or where some of it has about the backdrop's colour all but that."""
    if behind is Behind.UNKNOWN:
        return [filled(drawn.body)] if drawn.body.any() else []
    if behind is Behind.KNOWN:
        return [drawn.whole]
    level = np.array(RGB[behind], dtype=np.float32)
    apart = drawn.mask & (((drawn.pixels - level) ** 2).sum(axis=-1) > FAR * FAR)
    if not 0 < apart.sum() < _BLENDS * drawn.mask.sum():
        return [drawn.whole]
    return [drawn.whole, filled(apart)]


@cache
def _drawn(kind: Kind, pose: Pose | None, color: Color, seed: int) -> _Drawn:
    thing = Thing(kind=kind, color=color, x=0.5, y=0.5, size=_SIZE, seed=seed, pose=pose)
    scene = Scene(things=(thing,), backdrop=Backdrop(seed=0, color=color))
    pixels = np.asarray(render(scene, _CANVAS, _CANVAS), dtype=np.float32)
    inside = np.asarray(mask(thing, _CANVAS, _CANVAS)) > 127
    body = inside & (names_of(pixels) == COLORS.index(color))
    return _Drawn(pixels=pixels, mask=inside, whole=filled(inside), body=body)
