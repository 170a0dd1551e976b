"""How often random scenes and edits hold what. Says nothing of where things stand or which combinations are allowed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from training.world.edits import EditKind
from training.world.scene import ANIMALS, LARGE, MEDIUM, OBJECTS, PEOPLE, SHAPES, SMALL, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """`weights` say how often a kind occurs; absent ones never do.

    `figure_sizes` are those of an animal or a person alone in the middle. `paired` is the share of edits that begin
    with two things, absent kinds with one; of those pairs `similar` have one kind in two colours, or one colour.
    """

    weights: Mapping[Kind, int]
    figure_sizes: tuple[float, ...]
    paired: Mapping[EditKind, float]
    similar: float

    def of(self, kinds: Iterable[Kind]) -> "Mix":
        """The same for some kinds alone."""
        return replace(self, weights={kind: self.weights[kind] for kind in kinds})

    def kinds(self) -> list[Kind]:
        """Every kind as often as its weight says."""
        return [kind for kind, weight in self.weights.items() for _ in range(weight)]


# What evaluation asks for: shapes carry the measured prompts, animals and people the pictures people ask for. Its tasks
# are drawn from these numbers: they would be other tasks with others.
EVEN = Mix(
    weights=dict.fromkeys(SHAPES, 6) | dict.fromkeys(ANIMALS, 9) | dict.fromkeys(PEOPLE, 8) | dict.fromkeys(OBJECTS, 6),
    figure_sizes=(MEDIUM, MEDIUM, LARGE, LARGE, SMALL),
    paired=dict.fromkeys((EditKind.RECOLOR, EditKind.REMOVE, EditKind.REPLACE, EditKind.BACKDROP), 0.4),
    similar=0.0,
)
# What drawing is learnt from: more of what is hard to draw, and edits whose other thing is easily taken for the first.
DRAWING = Mix(
    weights={**EVEN.weights, **dict.fromkeys(ANIMALS, 18), **dict.fromkeys(PEOPLE, 16), Kind.CAR: 8},
    figure_sizes=(MEDIUM, LARGE, LARGE, LARGE, SMALL),
    paired={**dict.fromkeys((EditKind.RECOLOR, EditKind.REMOVE, EditKind.REPLACE), 0.6), EditKind.BACKDROP: 0.4}
    | {EditKind.MOVE: 0.4},
    similar=0.5,
)
