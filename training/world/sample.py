"""Random scenes and edits of the world. Pure: everything comes from the `Random` that is handed in.

A `Pool` says which object-colour-background combinations may occur: training never sees the held-out ones,
evaluation asks for exactly those.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from random import Random

from training.world.edits import Edit, EditKind
from training.world.scene import (
    ANIMALS,
    COLORS_OF,
    LARGE,
    MEDIUM,
    OBJECTS,
    PEOPLE,
    SHAPES,
    SMALL,
    SPOT_XY,
    Backdrop,
    Color,
    Kind,
    Place,
    Pose,
    Scene,
    Spot,
    Thing,
    is_held_out,
    spot_of,
)

MAX_TRIES = 1000
SEEDS = 2**31
# Kinds by how often they occur: shapes carry the measured prompts, animals and people the pictures people ask for.
_KIND_WEIGHTS = (
    dict.fromkeys(SHAPES, 6) | dict.fromkeys(ANIMALS, 9) | dict.fromkeys(PEOPLE, 8) | dict.fromkeys(OBJECTS, 6)
)
_PLACES_FOR_THINGS = tuple(place for place in Place if place is not Place.FUTURISTIC_CITY)
_PLAIN_SHARE = 0.7
_GROUND_Y = 0.9  # where the lower edge of a thing in a landscape stands


class Pool(Enum):
    """Which combinations a sample may hold."""

    TRAIN = "train"
    HELD_OUT = "held out"  # at least the first thing's combination is held out


class Layout(Enum):
    """How a scene is built."""

    SINGLE = "single"
    PAIR = "pair"  # two different things beside or above each other
    COUNT = "count"  # two or three alike
    THREE = "three"  # three different things in a row
    LANDSCAPE = "landscape"


def sample_scene(rng: Random, layout: Layout, pool: Pool, kinds: Sequence[Kind] = tuple(Kind)) -> Scene:
    """A random scene of the layout with things of `kinds`."""
    if layout is Layout.LANDSCAPE:
        return Scene(things=(), backdrop=Backdrop(seed=_seed(rng), place=rng.choice(tuple(Place))))
    make: Callable[[Random, Backdrop, Sequence[Kind]], tuple[Thing, ...]]
    match layout:
        case Layout.SINGLE:
            make = _single
        case Layout.PAIR:
            make = _pair
        case Layout.COUNT:
            make = _count
        case Layout.THREE:
            make = _three
    for _ in range(MAX_TRIES):
        scene = Scene(backdrop=(backdrop := sample_backdrop(rng)), things=make(rng, backdrop, kinds))
        if allowed(scene, pool):
            return scene
    raise RuntimeError(f"no {layout} scene of the pool {pool} within {MAX_TRIES} tries")


def sample_backdrop(rng: Random) -> Backdrop:
    """A plain colour or a landscape."""
    if rng.random() < _PLAIN_SHARE:
        return Backdrop(seed=_seed(rng), color=rng.choice((*Color, Color.WHITE, Color.WHITE)))
    return Backdrop(seed=_seed(rng), place=rng.choice(_PLACES_FOR_THINGS))


def allowed(scene: Scene, pool: Pool) -> bool:
    """Whether a scene keeps to its pool, and no thing has the colour of the plain backdrop."""
    if any(thing.color is scene.backdrop.color for thing in scene.things):
        return False
    held = [is_held_out(thing.kind, thing.color, scene.backdrop.name) for thing in scene.things]
    return not any(held) if pool is Pool.TRAIN else bool(held) and held[0]


def sample_edit(rng: Random, kind: EditKind, pool: Pool) -> Edit:
    """A random edit; with the held-out pool the scene after it holds a held-out combination."""
    for _ in range(MAX_TRIES):
        edit = _try_edit(rng, kind)
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


def _try_edit(rng: Random, kind: EditKind) -> Edit | None:
    pick = ANIMALS if kind is EditKind.POSE else SHAPES if kind is EditKind.REPLACE else tuple(Kind)
    one = kind in (EditKind.ADD, EditKind.MOVE, EditKind.POSE) or rng.random() < 0.6
    backdrop = sample_backdrop(rng)
    things = (_single if one else _pair)(rng, backdrop, pick)
    before = Scene(things=things, backdrop=backdrop)
    if not allowed(before, Pool.TRAIN):
        return None
    match kind:
        case EditKind.BACKDROP:
            after = replace(before, backdrop=sample_backdrop(rng))
            return None if after.backdrop.name == backdrop.name else _edit(kind, before, after, None)
        case EditKind.ADD:
            return _add(rng, before)
    target = rng.randrange(len(things))
    if kind is EditKind.REMOVE:
        rest = tuple(t for i, t in enumerate(things) if i != target)
        return _edit(kind, before, replace(before, things=rest), target)
    changed = _changed(rng, kind, things[target])
    if changed is None:
        return None
    after = replace(before, things=tuple(changed if i == target else t for i, t in enumerate(things)))
    return _edit(kind, before, after, target)


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


def _add(rng: Random, before: Scene) -> Edit | None:
    """A second thing beside the first, which must leave room."""
    first = before.things[0]
    if first.size > MEDIUM or abs(first.x - 0.5) < 0.15:
        return None
    x = 0.27 if first.x > 0.5 else 0.73
    new = _thing(rng, rng.choice(_weighted_kinds()), x, 0.5, rng.uniform(0.3, 0.4))
    new = _grounded(new, before.backdrop) if before.backdrop.place else replace(new, y=first.y)
    if new.kind is first.kind and new.color is first.color:
        return None
    return _edit(EditKind.ADD, before, replace(before, things=(first, new)), 1)


def _weighted_kinds(kinds: Sequence[Kind] = tuple(Kind)) -> list[Kind]:
    return [kind for kind in kinds for _ in range(_KIND_WEIGHTS[kind])]


def _seed(rng: Random) -> int:
    return rng.randrange(SEEDS)


def _thing(rng: Random, kind: Kind, x: float, y: float, size: float) -> Thing:
    pose = rng.choice(tuple(Pose)) if kind in ANIMALS else None
    return Thing(kind=kind, color=rng.choice(COLORS_OF[kind]), x=x, y=y, size=size, seed=_seed(rng), pose=pose)


def _grounded(thing: Thing, backdrop: Backdrop) -> Thing:
    """Things in a landscape stand on its ground; shapes float anywhere."""
    if backdrop.place is None or thing.kind in SHAPES:
        return thing
    return replace(thing, y=max(0.5, _GROUND_Y - thing.size / 2))


def _single(rng: Random, backdrop: Backdrop, kinds: Sequence[Kind]) -> tuple[Thing, ...]:
    kind = rng.choice(_weighted_kinds(kinds))
    if rng.random() < 0.6:
        x, y, size = 0.5, 0.5, rng.choice((MEDIUM, MEDIUM, LARGE, LARGE, SMALL))
    else:
        (x, y), size = SPOT_XY[rng.choice(tuple(Spot))], rng.choice((SMALL, 0.38))
    x, y = x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.03, 0.03)
    thing = _thing(rng, kind, x, y, size * rng.uniform(0.92, 1.08))
    return (_grounded(thing, backdrop),)


def _pair(rng: Random, backdrop: Backdrop, kinds: Sequence[Kind]) -> tuple[Thing, ...]:
    places = [(0.27, 0.5), (0.73, 0.5)]
    if backdrop.place is None and rng.random() < 0.4:
        places = [(0.5, 0.26), (0.5, 0.74)]
    rng.shuffle(places)
    things = [_thing(rng, rng.choice(_weighted_kinds(kinds)), *_near(rng, at), rng.uniform(0.3, 0.4)) for at in places]
    while _alike(things[0], things[1]):
        things[1] = _thing(rng, rng.choice(_weighted_kinds(kinds)), *_near(rng, places[1]), rng.uniform(0.3, 0.4))
    return tuple(_grounded(thing, backdrop) for thing in things)


def _count(rng: Random, backdrop: Backdrop, kinds: Sequence[Kind]) -> tuple[Thing, ...]:
    number = rng.choice((2, 3))
    first = _thing(rng, rng.choice(_weighted_kinds(kinds)), 0.5, 0.5, rng.uniform(0.24, 0.3))
    xs = (0.3, 0.7) if number == 2 else (0.2, 0.5, 0.8)
    things = []
    for x in xs:
        x, y = _near(rng, (x, 0.5))
        things.append(_grounded(replace(first, x=x, y=y, seed=_seed(rng)), backdrop))
    return tuple(things)


def _three(rng: Random, backdrop: Backdrop, kinds: Sequence[Kind]) -> tuple[Thing, ...]:
    things: list[Thing] = []
    for x in (0.2, 0.5, 0.8):
        while True:
            thing = _thing(rng, rng.choice(_weighted_kinds(kinds)), *_near(rng, (x, 0.5)), rng.uniform(0.22, 0.28))
            if not any(_alike(thing, other) for other in things):
                break
        things.append(_grounded(thing, backdrop))
    return tuple(things)


def _near(rng: Random, at: tuple[float, float]) -> tuple[float, float]:
    return at[0] + rng.uniform(-0.025, 0.025), at[1] + rng.uniform(-0.025, 0.025)


def _alike(a: Thing, b: Thing) -> bool:
    return a.kind is b.kind and a.color is b.color
