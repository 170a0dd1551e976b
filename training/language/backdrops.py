"""Phrases for what is behind things, or is the whole picture. Template lists: see `split` and `weaving`."""

from random import Random

from training.language.landscapes import BEFORE_PLACE, LANDSCAPES
from training.language.split import Split, choose
from training.language.weaving import crossed, woven
from training.world.scene import Backdrop

_BEHIND = ("on ", "on ", "against ", "in front of ", "before ", "with ", ", on ", "over ")
_EVEN = ("", "plain ", "simple ", "solid ", "uniform ", "clean ", "flat ", "empty ", "bare ", "smooth ")
_GROUND = ("background", "background", "backdrop", "canvas")
BEFORE_PLAIN = woven(
    (
        *("on a {color} background",) * 4,
        *("on a plain {color} background", "in front of a {color} background", "against a {color} background"),
        *("with a {color} background", ", {color} background", "on {color}"),
    ),
    (
        *crossed(_BEHIND, ("a ",), _EVEN, ("{color} ",), _GROUND),
        *crossed(("on ", "against ", "in front of ", "before "), ("a ",), _EVEN, ("{color} ",), ("wall", "surface")),
        *crossed((", ",), _EVEN, ("{color} ",), _GROUND),
        *crossed(("on ", "against ", "before "), ("plain ", "solid ", "simple "), ("{color}",)),
        *crossed(
            ("with ", "on ", "against "), ("a background ", "a backdrop "), ("in ", "of "), ("plain ",), ("{color}",)
        ),
    ),
    kept=("before a {color} background", "against a solid {color} backdrop", "on a simple {color} background"),
)
EMPTY_PLAIN = woven(
    ("a plain {color} background", "an empty {color} background", "a {color} background"),
    crossed(
        *(("", "just ", "only ", "nothing but ", "simply "), ("a ",), _EVEN),
        *(("", "pretty ", "nice "), ("{color} ",), ("background", "backdrop", "canvas")),
    ),
    kept=("a solid {color} background", "nothing but a {color} background"),
)


def before(backdrop: Backdrop, rng: Random, split: Split) -> str:
    """What follows the things: on a white background, on the beach."""
    if backdrop.place:
        return choose(rng, BEFORE_PLACE[backdrop.place], split)
    return choose(rng, BEFORE_PLAIN, split).format(color=backdrop.color)


def alone(backdrop: Backdrop, rng: Random, split: Split) -> str:
    """The backdrop as a whole picture."""
    if backdrop.place:
        return choose(rng, LANDSCAPES[backdrop.place], split)
    return choose(rng, EMPTY_PLAIN, split).format(color=backdrop.color)
