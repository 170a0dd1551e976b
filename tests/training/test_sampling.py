"""What random scenes and edits hold: enough of what is hard, and never what is kept for evaluation."""

from collections import Counter
from random import Random

import pytest

from training.world.edits import EditKind
from training.world.mix import DRAWING, EVEN
from training.world.sample import Layout, Pool, sample_scene
from training.world.sample_edits import sample_edit
from training.world.scene import ANIMALS, COLORS_OF, LARGE, PEOPLE, is_held_out


def test_training_never_draws_a_combination_kept_for_evaluation() -> None:
    rng = Random(1)
    scenes = [sample_scene(rng, rng.choice(tuple(Layout)), Pool.TRAIN, DRAWING) for _ in range(600)]
    for kind in EditKind:
        for _ in range(60):
            edit = sample_edit(rng, kind, Pool.TRAIN, DRAWING)
            scenes += [edit.before, edit.after]
    for scene in scenes:
        assert all(t.color in COLORS_OF[t.kind] for t in scene.things)
        assert not any(is_held_out(t.kind, t.color, scene.backdrop.name) for t in scene.things)


def test_what_is_learnt_to_draw_has_more_and_larger_figures_than_what_is_asked_for() -> None:
    share = {}
    for mix in (EVEN, DRAWING):
        rng = Random(2)
        things = [sample_scene(rng, Layout.SINGLE, Pool.TRAIN, mix).things[0] for _ in range(3000)]
        figures = [thing for thing in things if thing.kind in (*ANIMALS, *PEOPLE)]
        share[mix.similar] = len(figures), sum(thing.size > 0.9 * LARGE for thing in figures)
    (even, even_large), (drawing, drawing_large) = share[EVEN.similar], share[DRAWING.similar]
    assert drawing > 1.3 * even
    assert drawing_large > 1.8 * even_large


@pytest.mark.parametrize("kind", [EditKind.RECOLOR, EditKind.REMOVE, EditKind.REPLACE, EditKind.MOVE])
def test_edits_often_begin_with_two_things_that_are_easily_confused(kind: EditKind) -> None:
    rng = Random(3)
    seen: Counter[str] = Counter()
    for _ in range(300):
        edit = sample_edit(rng, kind, Pool.TRAIN, DRAWING)
        first, *rest = edit.before.things
        for other in rest:
            same_kind, same_color = other.kind is first.kind, other.color is first.color
            assert not (same_kind and same_color)
            seen["kind" if same_kind else "color" if same_color else "neither"] += 1
        assert edit.target is not None
        kept = [thing for index, thing in enumerate(edit.before.things) if index != edit.target]
        assert [thing for thing in edit.after.things if thing in kept] == kept
    assert min(seen["kind"], seen["color"], seen["neither"]) > 10


def test_a_thing_that_moves_leaves_the_other_one_free() -> None:
    rng = Random(4)
    edits = [sample_edit(rng, EditKind.MOVE, Pool.TRAIN, DRAWING) for _ in range(200)]
    pairs = [edit.after.things for edit in edits if len(edit.after.things) == 2]
    assert len(pairs) > 20
    for a, b in pairs:
        assert max(abs(a.x - b.x), abs(a.y - b.y)) > (a.size + b.size) / 2
