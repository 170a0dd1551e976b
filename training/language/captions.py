"""Prompts for a picture, in many wordings. What they are filled into stands in `caption_templates`."""

from enum import Enum
from random import Random

from training.language import backdrops
from training.language import caption_templates as templates
from training.language.arrangement import OPPOSITE, Arrangement, arrangement, clear_size, clear_spot, in_order, side
from training.language.landscapes import LANDSCAPES
from training.language.nouns import NUMBERS, listed, noun
from training.language.split import Split, choose
from training.language.surface import as_prompt
from training.language.synonyms import with_synonyms
from training.world.scene import ANIMALS, PEOPLE, Kind, Relation, Scene, Thing, relation

RELATION_WORDS: dict[Relation, tuple[str, ...]] = {
    Relation.LEFT_OF: ("to the left of", "to the left of", "left of", "on the left of", "on the left side of"),
    Relation.RIGHT_OF: ("to the right of", "to the right of", "right of", "on the right of", "on the right side of"),
    Relation.ABOVE: ("above", "above", "above", "over"),
    Relation.BELOW: ("below", "below", "under", "beneath"),
}
ENDS: dict[Relation, tuple[str, ...]] = {
    Relation.LEFT_OF: ("on the left", "on the left", "on the left side", "at the left"),
    Relation.RIGHT_OF: ("on the right", "on the right", "on the right side", "at the right"),
    Relation.ABOVE: ("at the top", "at the top", "in the top part"),
    Relation.BELOW: ("at the bottom", "at the bottom", "in the bottom part"),
}
CLOTHES_VERBS = ("in", "in", "wearing", "with")
_BLURRY_NAMELESS_SHARE = 0.5
_EXTRA_SHARE = 0.25  # of full captions that also name pose or spot
_KIND_ALONE_SHARE = 0.1  # of short captions that are just "cat"
_BARE_SHARE = 0.5  # of short captions without colour, backdrop, or both
_STYLED_SHARE = 0.25
_NO_LEAD_SHARE = 0.25  # of training captions that are just a body
_USUAL_SHARE = 0.35  # of short training captions of one thing or place
MAX_LENGTH = 170  # characters


class Detail(Enum):
    """How much a caption tells."""

    SHORT = "short"  # the kinds and their number
    FULL = "full"  # and colours, relation, backdrop
    LONG = "long"  # and size, spot, pose, style


def caption(scene: Scene, rng: Random, split: Split, detail: Detail) -> str:
    """A prompt for the picture, of at most `MAX_LENGTH` characters."""
    text = _caption(scene, rng, split, detail)
    while len(text) > MAX_LENGTH:
        text = _caption(scene, rng, split, detail)
    return text


def _caption(scene: Scene, rng: Random, split: Split, detail: Detail) -> str:
    if scene.blurry and rng.random() < _BLURRY_NAMELESS_SHARE:
        return choose(rng, templates.BLURRY, split)
    if detail is Detail.SHORT and split is Split.TRAIN and not scene.blurry and (usual := _usual(scene, rng)):
        return as_prompt(usual, rng, split)
    styles = _styles(rng, split, _number_of_styles(scene, rng, detail))
    if _is_kind_alone(scene, rng, split, detail):
        return as_prompt(with_synonyms(scene.things[0].kind + styles, rng), rng, split)
    body = _short(scene, rng, split) if detail is Detail.SHORT else _full(scene, rng, split, detail)
    if scene.blurry:
        text = choose(rng, templates.BLURRY_WITH, split).format(x=body)
    else:
        bare = split is Split.TRAIN and rng.random() < _NO_LEAD_SHARE
        text = (body if bare else choose(rng, templates.LEADS, split).format(x=body)) + styles
    return as_prompt(with_synonyms(text, rng), rng, split)


def _usual(scene: Scene, rng: Random) -> str | None:
    """What most people would type: "A cute cat", "A beautiful sunset over mountains". For training only."""
    if len(scene.things) > 1 or rng.random() > _USUAL_SHARE:
        return None
    if scene.things:
        kind = scene.things[0].kind
        return f"a {rng.choice((_adjectives(kind)[0], rng.choice(_adjectives(kind))))} {kind}"
    place = scene.backdrop.place
    return rng.choice(LANDSCAPES[place][:2]) if place else None


def _short(scene: Scene, rng: Random, split: Split) -> str:
    things = in_order(scene.things)
    if not things:
        return backdrops.alone(scene.backdrop, rng, split)
    bg = backdrops.before(scene.backdrop, rng, split) if rng.random() > _BARE_SHARE else ""
    if rng.random() > _BARE_SHARE and arrangement(scene) is not Arrangement.COUNT:
        parts = [f"a {_noun(thing, rng)}" for thing in things]
    else:
        parts = _by_kind(things, rng)
    if len(parts) == 2:
        return choose(rng, templates.SHORT_PAIRS, split).format(a=parts[0], b=parts[1]) + f" {bg}"
    return f"{listed(parts)} {bg}"


def _by_kind(things: tuple[Thing, ...], rng: Random) -> list[str]:
    """Every kind once, with its number and without its colour."""
    parts = []
    for kind in dict.fromkeys(thing.kind for thing in things):
        count = sum(thing.kind is kind for thing in things)
        adjective = rng.choice(_adjectives(kind)) if rng.random() < _STYLED_SHARE else ""
        article = "a" if count == 1 else NUMBERS[count]
        parts.append(f"{article} {noun(kind, count=count, before=adjective)}")
    return parts


def _full(scene: Scene, rng: Random, split: Split, detail: Detail) -> str:
    kind_of_body = arrangement(scene)
    template = choose(rng, templates.BODIES[kind_of_body], split)
    bg = backdrops.before(scene.backdrop, rng, split) if scene.things else ""
    things = in_order(scene.things)
    all_told = detail is Detail.LONG
    pose = all_told or rng.random() < _EXTRA_SHARE
    match kind_of_body:
        case Arrangement.EMPTY:
            return backdrops.alone(scene.backdrop, rng, split)
        case Arrangement.SINGLE:
            spot = _spot(scene) if all_told or rng.random() < _EXTRA_SHARE else ""
            n = _noun(things[0], rng, pose=pose, size=all_told)
            return template.format(a=f"a {n}", n=n, adj=rng.choice(_adjectives(things[0].kind)), bg=f"{spot} {bg}")
        case Arrangement.COUNT:
            count = len(things)
            number = str(count) if rng.random() < _EXTRA_SHARE else NUMBERS[count]
            plural = _noun(things[0], rng, pose=pose, size=all_told, count=count)
            return template.format(number=number, things=plural, adj=_short_adjective(things[0].kind, rng), bg=bg)
        case Arrangement.PAIR:
            return _pair(things, template, rng, bg, pose)
        case Arrangement.THREE:
            a, b, c = (f"a {_noun(thing, rng, pose=pose)}" for thing in things)
            return template.format(a=a, b=b, c=c, bg=bg)


def _pair(things: tuple[Thing, ...], template: str, rng: Random, bg: str, pose: bool) -> str:
    """Either thing may be named first."""
    first, second = things if rng.random() < 0.5 else things[::-1]
    rel = relation(first, second)
    inverse = OPPOSITE[rel]
    n, other = _noun(first, rng, pose=pose), _noun(second, rng, pose=pose)
    return template.format(
        a=f"a {n}",
        b=f"a {other}",
        n=n,
        adj=rng.choice(_adjectives(first.kind)),
        rel=rng.choice(RELATION_WORDS[rel]),
        inv=rng.choice(RELATION_WORDS[inverse]),
        at=rng.choice(ENDS[rel]),
        bt=rng.choice(ENDS[inverse]),
        bg=bg,
    )


def _noun(thing: Thing, rng: Random, *, pose: bool = False, size: bool = False, count: int = 1) -> str:
    adjectives = (clear_size(thing) if size else None, thing.pose if pose else None)
    before = " ".join(word for word in adjectives if word)
    return noun(thing.kind, thing.color, count=count, before=before, verb=rng.choice(CLOTHES_VERBS))


def _adjectives(kind: Kind) -> tuple[str, ...]:
    if kind in ANIMALS:
        return templates.ADJECTIVES_ANIMAL
    return templates.ADJECTIVES_PERSON if kind in PEOPLE else templates.ADJECTIVES_OTHER


def _short_adjective(kind: Kind, rng: Random) -> str:
    """An adjective of one word."""
    return rng.choice([word for word in _adjectives(kind) if " " not in word])


def _spot(scene: Scene) -> str:
    """Where a single thing is: in landscapes, where the ground sets its height, only the side."""
    return clear_spot(scene) or (side(scene.things[0]) if scene.backdrop.place else None) or ""


def _is_kind_alone(scene: Scene, rng: Random, split: Split, detail: Detail) -> bool:
    """Whether the caption is just "cat": nothing of that could be held out."""
    fits = detail is Detail.SHORT and split is Split.TRAIN and len(scene.things) == 1 and not scene.blurry
    return fits and rng.random() < _KIND_ALONE_SHARE


def _number_of_styles(scene: Scene, rng: Random, detail: Detail) -> int:
    """Long captions have one or two, as their length allows, short ones now and then one."""
    if detail is Detail.LONG:
        return rng.choice((1, 1, 2)) if len(scene.things) < 2 else 1
    return int(detail is Detail.SHORT and rng.random() < _STYLED_SHARE)


def _styles(rng: Random, split: Split, number: int) -> str:
    chosen = dict.fromkeys(choose(rng, templates.STYLES, split) for _ in range(number))
    return "".join(f", {style}" for style in chosen)
