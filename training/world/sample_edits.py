"""Random edits of the world. Pure: everything comes from the `Random` that is handed in."""

from dataclasses import replace
from random import Random

from training.world.edits import Edit, EditKind
from training.world.mix import EVEN, Mix
from training.world.sample import MAX_TRIES, Pool, allowed, grounded, new_thing, pair, sample_backdrop, single
from training.world.scene import (
    ANIMALS,
    COLORS_OF,
    MEDIUM,
    SHAPES,
    SPOT_XY,
    Backdrop,
    Pose,
    Scene,
    Spot,
    Thing,
    spot_of,
)

_APART = 0.44  # from centre to centre along one axis: things of a pair that far apart leave each other free


def sample_edit(rng: Random, kind: EditKind, pool: Pool, mix: Mix = EVEN) -> Edit:
    """A random edit; with the held-out pool the scene after it holds a held-out combination."""
    for _ in range(MAX_TRIES):
        edit = _try_edit(rng, kind, mix)
        if edit is not None and _edit_allowed(edit, pool):
            return edit
    raise RuntimeError(f"no {kind} edit of the pool {pool} within {MAX_TRIES} tries")


def _edit_allowed(edit: Edit, pool: Pool) -> bool:
    if not allowed(edit.before, Pool.TRAIN):
        return False
    if pool is Pool.TRAIN or not edit.after.things:
        return allowed(edit.after, Pool.TRAIN)
    if edit.kind in (EditKind.MOVE, EditKind.POSE, EditKind.REMOVE):  # these make no new combination
        return allowed(edit.after, Pool.TRAIN)
    target = 0 if edit.target is None else edit.target
    first = (edit.after.things[target], *(t for i, t in enumerate(edit.after.things) if i != target))
    return allowed(replace(edit.after, things=first), Pool.HELD_OUT)


def _try_edit(rng: Random, kind: EditKind, mix: Mix) -> Edit | None:
    backdrop, things = _begin(rng, kind, mix)
    before = Scene(things=things, backdrop=backdrop)
    if not allowed(before, Pool.TRAIN):
        return None
    match kind:
        case EditKind.BACKDROP:
            after = replace(before, backdrop=sample_backdrop(rng))
            return None if after.backdrop.name == backdrop.name else _edit(kind, before, after, None)
        case EditKind.ADD:
            return _add(rng, before, mix)
    target = rng.randrange(len(things))
    rest = tuple(t for i, t in enumerate(things) if i != target)
    if kind is EditKind.REMOVE:
        return _edit(kind, before, replace(before, things=rest), target)
    changed = _changed(rng, kind, things[target])
    if changed is None or (kind is EditKind.MOVE and not all(_are_apart(changed, other) for other in rest)):
        return None
    after = replace(before, things=tuple(changed if i == target else t for i, t in enumerate(things)))
    return _edit(kind, before, after, target)


def _begin(rng: Random, kind: EditKind, mix: Mix) -> tuple[Backdrop, tuple[Thing, ...]]:
    """Backdrop and things before the edit."""
    fitting = mix.of(ANIMALS) if kind is EditKind.POSE else mix.of(SHAPES) if kind is EditKind.REPLACE else mix
    two = kind in mix.paired and rng.random() >= 1 - mix.paired[kind]
    backdrop = sample_backdrop(rng)
    if not two:
        return backdrop, single(rng, backdrop, fitting)
    first, second = pair(rng, backdrop, fitting)
    if mix.similar and rng.random() < mix.similar:
        second = grounded(_like(rng, first, second, fitting), backdrop)
    return backdrop, (first, second)


def _like(rng: Random, first: Thing, second: Thing, mix: Mix) -> Thing:
    """`second` as another one of `first`'s kind, or as something else in its colour."""
    if rng.random() < 0.5:
        kind, color = first.kind, rng.choice([c for c in COLORS_OF[first.kind] if c is not first.color])
    else:
        kinds = [k for k in mix.kinds() if k is not first.kind and first.color in COLORS_OF[k]]
        kind, color = rng.choice(kinds), first.color
    return replace(new_thing(rng, kind, second.x, second.y, second.size), color=color)


def _edit(kind: EditKind, before: Scene, after: Scene, target: int | None) -> Edit:
    return Edit(kind=kind, before=before, after=after, target=target)


def _changed(rng: Random, kind: EditKind, thing: Thing) -> Thing | None:
    match kind:
        case EditKind.RECOLOR:
            return replace(thing, color=rng.choice([c for c in COLORS_OF[thing.kind] if c is not thing.color]))
        case EditKind.POSE:
            return replace(thing, pose=Pose.STANDING if thing.pose is Pose.SITTING else Pose.SITTING)
        case EditKind.REPLACE:
            return replace(thing, kind=rng.choice([k for k in SHAPES if k is not thing.kind]))
        case EditKind.MOVE:
            spot = rng.choice([s for s in Spot if s is not spot_of(thing)])
            x, y = SPOT_XY[spot]
            return None if thing.size > MEDIUM else replace(thing, x=x, y=y)
        case _:
            raise ValueError(f"{kind} changes no single thing")


def _add(rng: Random, before: Scene, mix: Mix) -> Edit | None:
    """A second thing beside the first, which must leave room."""
    first = before.things[0]
    if first.size > MEDIUM or abs(first.x - 0.5) < 0.15:
        return None
    x = 0.27 if first.x > 0.5 else 0.73
    new = new_thing(rng, rng.choice(mix.kinds()), x, 0.5, rng.uniform(0.3, 0.4))
    new = grounded(new, before.backdrop) if before.backdrop.place else replace(new, y=first.y)
    if new.kind is first.kind and new.color is first.color:
        return None
    return _edit(EditKind.ADD, before, replace(before, things=(first, new)), 1)


def _are_apart(a: Thing, b: Thing) -> bool:
    return max(abs(a.x - b.x), abs(a.y - b.y)) >= _APART
