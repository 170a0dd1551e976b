"""Which templates training may use and which are kept for evaluation. Knows nothing of what the templates say."""

from collections.abc import Sequence
from enum import Enum
from random import Random

_WHOLE_BELOW = 4  # shorter lists serve both splits


class Split(Enum):
    """Whose templates a text is made from."""

    TRAIN = "train"
    HELD_OUT = "held out"


def choose(rng: Random, templates: Sequence[str], split: Split) -> str:
    """A random template of the split: the last fifth of a list is held out, the rest is for training."""
    return rng.choice(of_split(templates, split))


def of_split(templates: Sequence[str], split: Split) -> Sequence[str]:
    """The templates of a list that a split may use."""
    if len(templates) < _WHOLE_BELOW:
        return templates
    border = len(templates) - max(1, len(templates) // 5)
    return templates[border:] if split is Split.HELD_OUT else templates[:border]
