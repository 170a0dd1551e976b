"""The judge accepts what the renderer draws, also slightly blurred, and rejects it where one fact is another."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from PIL import Image

from training.evaluation.measurable import measurable_edit, reseeded, roughened
from training.evaluation.tasks import Section, all_tasks
from training.judge.changes import judge_edit
from training.judge.pictures import Asked, judge_picture
from training.judge.places import backdrop_shown
from training.judge.regions import filled, parts
from training.world.edits import Edit, EditKind
from training.world.render import render
from training.world.sample import Layout, Pool, sample_scene
from training.world.sample_edits import sample_edit
from training.world.scene import ANIMALS, COLORS_OF, Backdrop, Color, Kind, Place, Pose, Scene, Thing

SIDE = 256
LAYOUTS = (Layout.SINGLE, Layout.PAIR, Layout.COUNT, Layout.THREE)
PICTURES = 14  # of each layout
# Few: looks to compare with are drawn once for each pair of them.
BACKDROPS = (Color.WHITE, Color.BLUE, Color.BROWN)
COLORS = (Color.ORANGE, Color.RED, Color.BLACK, Color.WHITE)
POSED = Asked(poses=True, order=True)


def drawn(scene: Scene) -> Image.Image:
    return render(scene, SIDE, SIDE)


def plain_scenes(layout: Layout) -> list[Scene]:
    rng = Random(3)
    scenes: list[Scene] = []
    while len(scenes) < PICTURES:
        scene = sample_scene(rng, layout, Pool.HELD_OUT)
        if scene.backdrop.color in BACKDROPS and all(thing.color in COLORS for thing in scene.things):
            scenes.append(scene)
    return scenes


def with_one_fact_changed(scene: Scene, rng: Random) -> Iterator[Scene]:
    """Another colour, kind, backdrop, number, relation, pose."""
    things, thing = scene.things, scene.things[0]
    alike = len(things) > 1 and len({(t.kind, t.color) for t in things}) == 1
    changed = range(len(things) if alike else 1)

    def each(kind: Kind | None = None, color: Color | None = None, pose: Pose | None = None) -> Scene:
        new = {i: replace(things[i], kind=kind or thing.kind, color=color or thing.color, pose=pose) for i in changed}
        return replace(scene, things=tuple(new.get(i, old) for i, old in enumerate(things)))

    colors = [c for c in COLORS if c in COLORS_OF[thing.kind] and c not in (thing.color, scene.backdrop.color)]
    kinds = [k for k in Kind if k is not thing.kind and thing.color in COLORS_OF[k]]
    kind = rng.choice(kinds)
    yield each(color=rng.choice(colors), pose=thing.pose)
    yield each(kind=kind, pose=Pose.SITTING if kind in ANIMALS else None)
    behind = rng.choice([c for c in Color if c is not scene.backdrop.color])
    yield replace(scene, backdrop=replace(scene.backdrop, color=behind))
    if len(things) > 1:
        yield replace(scene, things=things[1:])
    else:
        yield replace(scene, things=(thing, replace(thing, x=0.9)))
    if len(things) == 2 and not alike:
        here, there = things
        swapped = (replace(here, x=there.x, y=there.y), replace(there, x=here.x, y=here.y))
        yield replace(scene, things=swapped)
    if thing.pose and not alike:
        yield each(pose=next(pose for pose in Pose if pose is not thing.pose))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_the_renderer_draws_is_right_and_one_other_fact_is_wrong(layout: Layout) -> None:
    rng = Random(4)
    kept = rough = wrong = asked = 0
    for scene in plain_scenes(layout):
        picture = drawn(scene)
        kept += judge_picture(picture, scene, POSED).ok
        rough += judge_picture(roughened(picture, rng), scene, POSED).ok
        for other in with_one_fact_changed(scene, rng):
            asked += 1
            wrong += not judge_picture(picture, other, POSED).ok
    assert kept >= PICTURES - 1
    assert rough >= PICTURES - 1
    assert wrong >= 0.97 * asked


def test_noise_and_empty_pictures_are_wrong() -> None:
    scene = plain_scenes(Layout.SINGLE)[0]
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    assert not judge_picture(noise, scene).ok
    assert not judge_picture(drawn(replace(scene, things=())), scene).ok
    assert backdrop_shown(noise) not in Place


def test_every_landscape_is_recognized() -> None:
    for place in Place:
        for seed in (501, 502, 503):
            picture = drawn(Scene(things=(), backdrop=Backdrop(seed=seed, place=place)))
            assert backdrop_shown(roughened(picture, Random(seed))) is place


@pytest.mark.parametrize("kind", list(EditKind))
def test_the_renderers_change_is_right_and_no_change_or_another_one_is_wrong(kind: EditKind) -> None:
    rng = Random(6)
    edits = [edit for edit in (sample_edit(rng, kind, Pool.HELD_OUT) for _ in range(4)) if measurable_edit(edit, rng)]
    assert len(edits) >= 3
    for edit in edits:
        before = drawn(edit.before)
        assert judge_edit(before, drawn(edit.after), edit).ok
        assert not judge_edit(before, before, edit).ok
        assert not judge_edit(before, drawn(with_other_rest(edit)), edit).ok


def with_other_rest(edit: Edit) -> Scene:
    """What was asked, and more: another backdrop, or where that is the change, no things."""
    if edit.kind is EditKind.BACKDROP:
        return replace(edit.after, things=())
    other = Color.BLACK if edit.before.backdrop.color is not Color.BLACK else Color.WHITE
    return replace(edit.after, backdrop=Backdrop(seed=1, color=other))


def test_a_landscape_with_a_thing_is_judged_by_both() -> None:
    star = Thing(kind=Kind.STAR, color=Color.RED, x=0.5, y=0.4, size=0.4, seed=1)
    scene = Scene(things=(star,), backdrop=Backdrop(seed=9, place=Place.MEADOW))
    picture = drawn(reseeded(scene, Random(1)))
    assert judge_picture(picture, scene).ok
    assert not judge_picture(picture, replace(scene, things=(replace(star, kind=Kind.HEART),))).ok
    assert not judge_picture(picture, replace(scene, things=(replace(star, color=Color.PURPLE),))).ok
    assert not judge_picture(picture, replace(scene, backdrop=Backdrop(seed=9, place=Place.BEACH))).ok


def test_regions_are_parted_and_filled() -> None:
    rows = ("##...#", "#.#..#", "##...#", "......", ".##...")
    mask = np.array([[cell == "#" for cell in row] for row in rows])
    assert [int(part.sum()) for part in parts(mask)] == [6, 3, 2]
    assert [int(part.sum()) for part in parts(mask, diagonal=False)] == [5, 3, 2, 1]
    assert int(filled(mask).sum()) == int(mask.sum()) + 1


def test_tasks_are_always_the_same_and_their_number_is_as_documented() -> None:
    sections = (Section.CAPTIONS, Section.VQA, Section.TEXT)
    tasks = all_tasks(sections)
    assert tasks == all_tasks(sections)
    assert [sum(task.section is section for task in tasks) for section in sections] == [40, 50, 40]
    assert len({task.name for task in tasks}) == len(tasks)
