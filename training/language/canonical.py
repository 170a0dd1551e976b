"""The one canonical wording of a scene, which answers and thoughts share. Nothing here is random."""

from training.language.arrangement import Arrangement, arrangement, clear_size, clear_spot, in_order
from training.language.nouns import a_noun, listed
from training.world.scene import Backdrop, Place, Scene, Thing, relation

PLACE_NOUN: dict[Place, str] = {
    Place.SUNSET_MOUNTAINS: "a sunset over mountains",
    Place.FUTURISTIC_CITY: "a futuristic city",
    Place.BEACH: "a beach",
    Place.FOREST: "a forest",
    Place.NIGHT_SKY: "a night sky",
    Place.SNOW: "a snowy field",
    Place.DESERT: "a desert",
    Place.MEADOW: "a meadow",
}
IN_PLACE: dict[Place, str] = {
    Place.SUNSET_MOUNTAINS: "in front of a sunset over mountains",
    Place.FUTURISTIC_CITY: "in a futuristic city",
    Place.BEACH: "on a beach",
    Place.FOREST: "in a forest",
    Place.NIGHT_SKY: "under a night sky",
    Place.SNOW: "on a snowy field",
    Place.DESERT: "in a desert",
    Place.MEADOW: "on a meadow",
}


def whole(scene: Scene) -> str:
    """Everything: things, colours, relation or count, poses, the backdrop; size and spot of single things if clear."""
    if arrangement(scene) is Arrangement.EMPTY:
        return backdrop_noun(scene.backdrop)
    spot = clear_spot(scene) or ""
    return f"{_things(scene, related=True)} {spot} {before_backdrop(scene.backdrop)}"


def brief(scene: Scene) -> str:
    """The things and their colours, and the landscape they are in; a plain backdrop only where there is no thing."""
    if arrangement(scene) is Arrangement.EMPTY:
        return backdrop_noun(scene.backdrop)
    where = before_backdrop(scene.backdrop) if scene.backdrop.place else ""
    return f"{_things(scene, related=False)} {where}"


def before_backdrop(backdrop: Backdrop) -> str:
    """on a white background, in a forest"""
    return IN_PLACE[backdrop.place] if backdrop.place else f"on a {backdrop.color} background"


def backdrop_noun(backdrop: Backdrop) -> str:
    """a plain white background, a forest"""
    return PLACE_NOUN[backdrop.place] if backdrop.place else f"a plain {backdrop.color} background"


def _things(scene: Scene, *, related: bool) -> str:
    things = in_order(scene.things)
    match arrangement(scene):
        case Arrangement.SINGLE:
            return _one(things[0], size=related, pose=related)
        case Arrangement.COUNT:
            pose = things[0].pose if related and len({thing.pose for thing in things}) == 1 else None
            return a_noun(things[0].kind, things[0].color, count=len(things), before=pose or "")
        case Arrangement.PAIR if related:
            first, second = (_one(thing, size=False, pose=True) for thing in things)
            return f"{first} {relation(things[0], things[1])} {second}"
        case _:
            return listed([_one(thing, size=False, pose=related) for thing in things])


def _one(thing: Thing, *, size: bool, pose: bool) -> str:
    adjectives = (clear_size(thing) if size else None, thing.pose if pose else None)
    return a_noun(thing.kind, thing.color, before=" ".join(word for word in adjectives if word))
