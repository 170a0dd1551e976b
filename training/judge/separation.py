"""Things that touch, taken apart: a merged region is cut along columns, so that the pieces look like what is asked."""

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

import numpy as np

from training.judge.regions import Mask, box_of

_MARGIN = 0.15  # of a region's width that no cut touches
_CUTS = 7
_GAIN = 0.05  # by which pieces must be better than the whole
Rate = Callable[[Sequence[Mask]], float]


def separated(regions: Sequence[Mask], number: int, rate: Rate) -> list[Mask]:
    """As many regions as wanted, if there are fewer: the widest is cut first. `rate` says how much regions look, on
    average, like what is wanted.
    """
    whole = list(regions)
    if not whole or len(whole) >= number:
        return whole
    whole.sort(key=lambda region: box_of(region).width)
    widest = whole.pop()
    pieces = number - len(whole)
    columns = _columns(widest)
    cuts = [_cut(widest, chosen) for chosen in combinations(columns, pieces - 1)]
    best = max(cuts, key=rate, default=[widest])
    return [*whole, *(best if rate(best) > rate([widest]) + _GAIN else [widest])]


def _cut(region: Mask, columns: Sequence[int]) -> list[Mask]:
    edges = (0, *sorted(columns), region.shape[1])
    cut = []
    for left, right in pairwise(edges):
        piece = np.zeros_like(region)
        piece[:, left:right] = region[:, left:right]
        if piece.any():
            cut.append(piece)
    return cut


def _columns(region: Mask) -> list[int]:
    """Where a cut may go: the thinnest columns, some pixels apart."""
    box = box_of(region)
    margin = max(1, round(_MARGIN * box.width))
    heights = region.sum(axis=0).astype(np.float64)
    chosen: list[int] = []
    apart = max(1, box.width // 20)
    for column in sorted(range(box.left + margin, box.right - margin), key=lambda c: float(heights[c])):
        if all(abs(column - other) >= apart for other in chosen):
            chosen.append(column)
        if len(chosen) == _CUTS:
            break
    return chosen
