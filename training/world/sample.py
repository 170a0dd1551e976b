"""Random scenes of the world. Pure: everything comes from the `Random` that is handed in.

A `Pool` says which object-colour-background combinations may occur: training never sees the held-out ones,
evaluation asks for exactly those.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from random import Random

from training.world.mix import EVEN, Mix
from training.world.scene import (
    ANIMALS,
    COLORS_OF,
    LARGE,
    MEDIUM,
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
)

MAX_TRIES = 1000
SEEDS = 2**31
_PLACES_FOR_THINGS = tuple(place for place in Place if place is not Place.FUTURISTIC_CITY)
_PLAIN_SHARE = 0.7
_SIZES = (MEDIUM, MEDIUM, LARGE, LARGE, SMALL)  # of a single thing in the middle
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


def sample_scene(rng: Random, layout: Layout, pool: Pool, mix: Mix = EVEN) -> Scene:
    """A random scene of the layout."""
    if layout is Layout.LANDSCAPE:
        return Scene(things=(), backdrop=Backdrop(seed=_seed(rng), place=rng.choice(tuple(Place))))
    make: Callable[[Random, Backdrop, Mix], tuple[Thing, ...]]
    match layout:
        case Layout.SINGLE:
            make = single
        case Layout.PAIR:
            make = pair
        case Layout.COUNT:
            make = _count
        case Layout.THREE:
            make = _three
    for _ in range(MAX_TRIES):
        scene = Scene(backdrop=(backdrop := sample_backdrop(rng)), things=make(rng, backdrop, mix))
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


def _seed(rng: Random) -> int:
    return rng.randrange(SEEDS)


def new_thing(rng: Random, kind: Kind, x: float, y: float, size: float) -> Thing:
    """A thing with a random colour of its kind, and a random pose where the kind has poses."""
    pose = rng.choice(tuple(Pose)) if kind in ANIMALS else None
    return Thing(kind=kind, color=rng.choice(COLORS_OF[kind]), x=x, y=y, size=size, seed=_seed(rng), pose=pose)


def grounded(thing: Thing, backdrop: Backdrop) -> Thing:
    """Things in a landscape stand on its ground; shapes float anywhere."""
    if backdrop.place is None or thing.kind in SHAPES:
        return thing
    return replace(thing, y=max(0.5, _GROUND_Y - thing.size / 2))


def single(rng: Random, backdrop: Backdrop, mix: Mix) -> tuple[Thing, ...]:
    """One thing anywhere."""
    kind = rng.choice(mix.kinds())
    if rng.random() < 0.6:
        x, y, size = 0.5, 0.5, rng.choice(mix.figure_sizes if kind in (*ANIMALS, *PEOPLE) else _SIZES)
    else:
        (x, y), size = SPOT_XY[rng.choice(tuple(Spot))], rng.choice((SMALL, 0.38))
    x, y = x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.03, 0.03)
    thing = new_thing(rng, kind, x, y, size * rng.uniform(0.92, 1.08))
    return (grounded(thing, backdrop),)


def pair(rng: Random, backdrop: Backdrop, mix: Mix) -> tuple[Thing, ...]:
    """Two different things beside each other, before plain backdrops also one above the other."""
    places = [(0.27, 0.5), (0.73, 0.5)]
    if backdrop.place is None and rng.random() < 0.4:
        places = [(0.5, 0.26), (0.5, 0.74)]
    rng.shuffle(places)
    things = [new_thing(rng, rng.choice(mix.kinds()), *_near(rng, at), rng.uniform(0.3, 0.4)) for at in places]
    while _alike(things[0], things[1]):
        things[1] = new_thing(rng, rng.choice(mix.kinds()), *_near(rng, places[1]), rng.uniform(0.3, 0.4))
    return tuple(grounded(thing, backdrop) for thing in things)


def _count(rng: Random, backdrop: Backdrop, mix: Mix) -> tuple[Thing, ...]:
    number = rng.choice((2, 3))
    first = new_thing(rng, rng.choice(mix.kinds()), 0.5, 0.5, rng.uniform(0.24, 0.3))
    xs = (0.3, 0.7) if number == 2 else (0.2, 0.5, 0.8)
    things = []
    for x in xs:
        x, y = _near(rng, (x, 0.5))
        things.append(grounded(replace(first, x=x, y=y, seed=_seed(rng)), backdrop))
    return tuple(things)


def _three(rng: Random, backdrop: Backdrop, mix: Mix) -> tuple[Thing, ...]:
    things: list[Thing] = []
    for x in (0.2, 0.5, 0.8):
        while True:
            thing = new_thing(rng, rng.choice(mix.kinds()), *_near(rng, (x, 0.5)), rng.uniform(0.22, 0.28))
            if not any(_alike(thing, other) for other in things):
                break
        things.append(grounded(thing, backdrop))
    return tuple(things)


def _near(rng: Random, at: tuple[float, float]) -> tuple[float, float]:
    return at[0] + rng.uniform(-0.025, 0.025), at[1] + rng.uniform(-0.025, 0.025)


def _alike(a: Thing, b: Thing) -> bool:
    return a.kind is b.kind and a.color is b.color
