"""Whether a picture shows the facts that its prompt named: kinds, colours, number, arrangement, backdrop.

Sizes and exact places do not count. Never asks a model: see `foreground`, `likeness` and `places`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from PIL import Image

from training.judge.colors import COLORS, Pixels, name_of, names_of
from training.judge.foreground import pixels_of, plain_backdrop, standing_out, things_in
from training.judge.likeness import LEAST, TIE, Behind, Likeness, likeness
from training.judge.places import backdrop_shown
from training.judge.regions import Box, Mask, box_of, grown, large_parts, opened
from training.judge.separation import separated
from training.judge.verdict import Verdict
from training.language.arrangement import Arrangement, arrangement
from training.world.scene import Color, Relation, Scene, Thing, relation

_FRAME_SEEN = 0.6  # the least share of a frame that shows a plain backdrop
_PATCH = 0.005  # the share of the picture below which a patch of colour is no thing
_CANDIDATES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which facts beyond kinds, colours, number, pairs' relation and backdrop a prompt named."""

    poses: bool = False
    order: bool = False  # of three things, from left to right


def judge_picture(image: Image.Image, scene: Scene, asked: Asked | None = None) -> Verdict:
    """The picture against the facts of a scene that may have been drawn in many ways."""
    asked = asked or Asked()
    if scene.backdrop.color is None:
        return Verdict(reasons=tuple(_before_place(image, scene, asked)))
    pixels = pixels_of(image)
    backdrop = plain_backdrop(pixels)
    reasons = []
    if (shown := name_of(backdrop.level)) is not scene.backdrop.color:
        reasons.append(f"the background is {shown}, not {scene.backdrop.color}")
    if backdrop.seen < _FRAME_SEEN:
        reasons.append("the background is not plain")
    found = things_in(standing_out(pixels, backdrop.pixels))
    reasons += _things(found, pixels, scene, asked)
    return Verdict(reasons=tuple(reasons))


def thing_is_wrong(seen: Likeness, thing: Thing, *, poses: bool) -> str | None:
    """What of a thing differs from what was asked, if anything does."""
    if seen.color is not thing.color:
        return f"the {thing.kind} is {seen.color}, not {thing.color}"
    score, rival = seen.of(thing.kind), seen.rival(thing.kind)
    if score < seen.of(rival) - TIE:
        return f"a {rival} stands where a {thing.kind} was asked ({seen.of(rival):.2f} to {score:.2f})"
    if score < LEAST:
        return f"nothing like a {thing.kind} ({score:.2f})"
    if poses and thing.pose and seen.of(thing.kind, thing.pose) < score - TIE:
        return f"the {thing.kind} is not {thing.pose}"
    return None


def _things(found: list[Mask], pixels: Pixels, scene: Scene, asked: Asked) -> list[str]:
    """What is wrong about the things before a plain backdrop."""
    wanted = scene.things
    known: dict[tuple[bytes, Thing], Likeness] = {}

    def look(region: Mask, thing: Thing) -> Likeness:
        key = (np.packbits(region).tobytes(), thing)
        if key not in known:
            known[key] = likeness(region, pixels, thing.kind, thing.color, scene.backdrop.color or Behind.KNOWN)
        return known[key]

    def rate(regions: Sequence[Mask], things: Sequence[Thing]) -> float:
        pairs = [(look(region, thing), thing) for region, thing in zip(regions, things, strict=True)]
        return sum(seen.of(thing.kind) * (seen.color is thing.color) for seen, thing in pairs) / len(pairs)

    def best(regions: Sequence[Mask]) -> float:
        return max(rate(regions, things) for things in permutations(wanted, len(regions)))

    found = separated(found, len(wanted), best)
    if len(found) != len(wanted):
        return [f"{len(found)} things, not {len(wanted)}"]
    if not wanted:
        return []
    order = max(permutations(wanted), key=lambda p: rate(found, p))
    wrong = [thing_is_wrong(look(r, thing), thing, poses=asked.poses) for r, thing in zip(found, order, strict=True)]
    places = {id(thing): box_of(region) for region, thing in zip(found, order, strict=True)}
    return [w for w in wrong if w] + _arrangement(scene, [places[id(thing)] for thing in wanted], asked)


def _arrangement(scene: Scene, boxes: list[Box], asked: Asked) -> list[str]:
    """What is wrong about where things are; the boxes come in the order of the scene's things."""
    kind = arrangement(scene)
    if kind is Arrangement.PAIR:
        first, second = scene.things
        if not _lies(boxes[0], boxes[1], expected := relation(first, second)):
            return [f"the {first.kind} is not {expected} the {second.kind}"]
    if kind is Arrangement.THREE and asked.order:
        order = sorted(range(3), key=lambda i: scene.things[i].x)
        centers = [boxes[i].center[0] for i in order]
        if centers != sorted(centers):
            return ["the things are in another order"]
    return []


def _lies(a: Box, b: Box, expected: Relation) -> bool:
    dx, dy = a.center[0] - b.center[0], a.center[1] - b.center[1]
    match expected:
        case Relation.LEFT_OF | Relation.RIGHT_OF:
            return (dx < 0) == (expected is Relation.LEFT_OF) and abs(dx) >= abs(dy)
        case Relation.ABOVE | Relation.BELOW:
            return (dy < 0) == (expected is Relation.ABOVE) and abs(dy) >= abs(dx)


def _before_place(image: Image.Image, scene: Scene, asked: Asked) -> list[str]:
    """What is wrong about a landscape with at most one thing: the thing is sought by its colour."""
    if len(scene.things) > 1:
        raise ValueError("several things in a landscape cannot be told apart from it")
    reasons, hidden = [], None
    if scene.things:
        thing = scene.things[0]
        pixels = pixels_of(image)
        seen = [
            (likeness(part, pixels, thing.kind, thing.color, Behind.UNKNOWN), part)
            for part in _patches(pixels, thing.color)
        ]
        if not seen:
            return [f"nothing {thing.color} in the picture"]
        best, part = max(seen, key=lambda pair: pair[0].of(thing.kind))
        if wrong := thing_is_wrong(best, thing, poses=asked.poses):
            reasons.append(wrong)
        hidden = grown(part, 2)
    if (shown := backdrop_shown(image, hidden)) != scene.backdrop.place:
        reasons.append(f"the background is {shown or 'none of the known'}, not {scene.backdrop.place}")
    return reasons


def _patches(pixels: Pixels, color: Color) -> list[Mask]:
    """The largest regions of a named colour."""
    colored = opened(names_of(pixels) == COLORS.index(color))
    return large_parts(colored, round(_PATCH * colored.size))[:_CANDIDATES]
