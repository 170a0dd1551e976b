"""Regions of a picture as masks: connected parts, holes, growing and shrinking. Knows no colours and no things."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]  # [H, W]
_Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Bounds in pixels, the lower right ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def parts(mask: Mask, *, diagonal: bool = True) -> list[Mask]:
    """The connected parts, largest first; `diagonal` joins pixels that touch at a corner."""
    labels, number = _labelled(mask, int(diagonal))
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    order = sorted(range(1, number + 1), key=lambda label: -int(sizes[label]))
    return [labels == label for label in order]


def large_parts(mask: Mask, least: int) -> list[Mask]:
    """The connected parts of at least that many pixels, largest first."""
    labels, number = _labelled(mask, 1)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    order = sorted((label for label in range(1, number + 1) if sizes[label] >= least), key=lambda x: -int(sizes[x]))
    return [labels == label for label in order]


def filled(mask: Mask) -> Mask:
    """The mask with the holes that it surrounds."""
    padded = np.pad(~mask, 1, constant_values=True)
    labels, _ = _labelled(padded, 0)
    return np.asarray(labels != labels[0, 0])[1:-1, 1:-1]


def grown(mask: Mask, by: int) -> Mask:
    """The mask and all within `by` pixels of it, along rows and columns and diagonals in turn."""
    for i in range(by):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        base = grown.copy() if i % 2 else mask
        grown[:, 1:] |= base[:, :-1]
        grown[:, :-1] |= base[:, 1:]
        mask = grown
    return mask


def shrunk(mask: Mask, by: int) -> Mask:
    """What stays when all within `by` pixels of the outside goes; the picture's edge counts as inside."""
    return ~grown(~mask, by)


def opened(mask: Mask, by: int = 1) -> Mask:
    """The mask without what is thinner than about twice `by`."""
    return grown(shrunk(mask, by), by) & mask


def box_of(mask: Mask) -> Box:
    """The bounds of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(left=int(columns[0]), top=int(rows[0]), right=int(columns[-1]) + 1, bottom=int(rows[-1]) + 1)


def _labelled(mask: Mask, reach: int) -> tuple[_Labels, int]:
    """Labels from 1 and their number, by joining the runs of neighbouring rows; `reach` 1 joins diagonals."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parents = list(range(len(rows)))
    firsts = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    begin, end = starts.tolist(), ends.tolist()
    for (above, here), below in zip(pairwise(firsts), firsts[2:], strict=False):
        a, b = above, here
        while a < here and b < below:
            if begin[a] < end[b] + reach and begin[b] < end[a] + reach:
                _join(parents, a, b)
            if end[a] < end[b]:
                a += 1
            else:
                b += 1
    roots = np.array([_root(parents, run) for run in range(len(parents))], dtype=np.int64)
    kept, numbers = np.unique(roots, return_inverse=True)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(numbers.astype(np.int32) + 1, ends - starts)
    return labels, len(kept)


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


def _join(parents: list[int], a: int, b: int) -> None:
    a, b = _root(parents, a), _root(parents, b)
    parents[max(a, b)] = min(a, b)
