"""Whether a picture was changed as asked and the rest of it kept. The renderer knows the backdrop behind all things."""

from dataclasses import replace

import numpy as np
from PIL import Image

from training.judge.colors import Pixels, name_of
from training.judge.foreground import SIDE, pixels_of, plain_backdrop, standing_out, things_in
from training.judge.likeness import Behind, likeness
from training.judge.pictures import thing_is_wrong
from training.judge.places import backdrop_shown
from training.judge.regions import Mask, box_of, grown, shrunk
from training.judge.verdict import Verdict
from training.world.edits import Edit, EditKind
from training.world.render import mask, render
from training.world.scene import Scene, Thing

KEPT = 0.08  # the most that what stays may differ, as a mean share of the range
_THING_KEPT = 0.12  # the same for each other thing by itself
_MARGIN = 0.04  # of the shorter side, around what changes
_THING_MARGIN = 0.02
_RIM = 2  # pixels of the full picture that a thing's rim may differ by
_NEAR = 0.15  # of the sides, how far from its spot a moved or new thing may be
_AROUND = 0.06  # the same around a thing that stays in its place
_LEFT_PLAIN, _LEFT_PLACE = 0.12, 0.35  # of a thing's place that may still differ from the backdrop when it is gone
_GONE_FAR = 48.0
_PLAIN_SHARE = 0.6  # of a new plain backdrop that must have its colour


def judge_edit(before: Image.Image, after: Image.Image, edit: Edit) -> Verdict:
    """Two pictures of one size; `before` shows `edit.before` as the renderer draws it."""
    if edit.kind is EditKind.BACKDROP:
        reasons = _backdrop(after, edit) + _things_kept(before, after, edit.before.things)
    else:
        changed = [t for t in (_old(edit), _new(edit)) if t is not None]
        reasons = _asked(after, edit) + _rest_kept(before, after, edit, changed)
    return Verdict(reasons=tuple(reasons))


def _old(edit: Edit) -> Thing | None:
    assert edit.target is not None
    return None if edit.kind is EditKind.ADD else edit.before.things[edit.target]


def _new(edit: Edit) -> Thing | None:
    assert edit.target is not None
    return None if edit.kind is EditKind.REMOVE else edit.after.things[edit.target]


def _asked(after: Image.Image, edit: Edit) -> list[str]:
    """What is missing of the change of a thing."""
    pixels = pixels_of(after)
    behind = pixels_of(render(replace(edit.before, things=()), *after.size))
    out = standing_out(pixels, behind)
    old, new = _old(edit), _new(edit)
    reasons = []
    if old and edit.kind in (EditKind.REMOVE, EditKind.MOVE):
        left = _covers(old, after.size)
        if new:
            left &= ~grown(_covers(new, after.size), _small(_MARGIN))
        if not _gone(pixels, behind, left, edit.before):
            reasons.append(f"the {old.kind} is still there")
    if new:
        reasons += _shown(out, pixels, edit, new)
    return reasons


def _shown(out: Mask, pixels: Pixels, edit: Edit, new: Thing) -> list[str]:
    """What is wrong about the changed thing: it is the largest that stands out where it should be."""
    size = (pixels.shape[1], pixels.shape[0])
    others = [t for i, t in enumerate(edit.after.things) if i != edit.target]
    for other in others:
        out = out & ~grown(_mask(other, size), _small(_THING_MARGIN))
    moved = edit.kind in (EditKind.ADD, EditKind.MOVE)
    window = _window(new, size, _NEAR if moved else _AROUND)
    if not moved and (old := _old(edit)):
        window |= _window(old, size, _AROUND)
    found = things_in(out & window)
    if not found:
        return [f"no {new.color} {new.kind}"]
    region = found[0]
    if moved:
        x, y = box_of(region).center
        if max(abs(x / size[0] - new.x), abs(y / size[1] - new.y)) > _NEAR:
            return [f"the {new.kind} is elsewhere"]
    seen = likeness(region, pixels, new.kind, new.color, edit.after.backdrop.color or Behind.KNOWN)
    wrong = thing_is_wrong(seen, new, poses=edit.kind is EditKind.POSE)
    return [wrong] if wrong else []


def _gone(pixels: Pixels, behind: Pixels, place: Mask, scene: Scene) -> bool:
    if not place.any():
        return True
    far = np.sqrt(((pixels - behind) ** 2).sum(axis=-1)) > _GONE_FAR
    return bool(far[place].mean() <= (_LEFT_PLAIN if scene.backdrop.color else _LEFT_PLACE))


def _backdrop(after: Image.Image, edit: Edit) -> list[str]:
    pixels = pixels_of(after)
    size = (pixels.shape[1], pixels.shape[0])
    hidden = np.zeros((size[1], size[0]), np.bool_)
    for thing in edit.after.things:
        hidden |= grown(_mask(thing, size), _small(_MARGIN))
    wanted = edit.after.backdrop
    if wanted.color is None:
        shown = backdrop_shown(after, hidden)
        return [] if shown is wanted.place else [f"the background is {shown or 'unknown'}, not {wanted.place}"]
    surface = plain_backdrop(pixels)
    if (color := name_of(surface.level)) is not wanted.color:
        return [f"the background is {color}, not {wanted.color}"]
    open_share = 1 - float(standing_out(pixels, surface.pixels)[~hidden].mean())
    return [] if open_share >= _PLAIN_SHARE else ["the background is not plain"]


def _things_kept(before: Image.Image, after: Image.Image, things: tuple[Thing, ...]) -> list[str]:
    """Of every thing the pixels within its rim."""
    apart = _apart(before, after)
    reasons = []
    for thing in things:
        inside = shrunk(_mask(thing, before.size), _RIM)
        if inside.any() and (differs := float(apart[inside].mean())) >= KEPT:
            reasons.append(f"the {thing.kind} differs by {differs:.3f}")
    return reasons


def _rest_kept(before: Image.Image, after: Image.Image, edit: Edit, changed: list[Thing]) -> list[str]:
    """All that is not near the changed thing, and every other thing by itself."""
    apart = _apart(before, after)
    region = np.zeros(apart.shape, np.bool_)
    for thing in changed:
        region |= grown(_mask(thing, before.size), round(_MARGIN * min(before.size)))
    reasons = []
    if (differs := float(apart[~region].mean())) >= KEPT:
        reasons.append(f"the rest differs by {differs:.3f}")
    for i, thing in enumerate(edit.before.things):
        inside = _mask(thing, before.size) & ~region
        if (edit.kind is EditKind.ADD or i != edit.target) and inside.any():
            differs = float(apart[inside].mean())
            if differs >= _THING_KEPT:
                reasons.append(f"the other {thing.kind} differs by {differs:.3f}")
    return reasons


def _apart(a: Image.Image, b: Image.Image) -> Pixels:
    """The mean absolute difference of every pixel, as a share of the range."""
    apart = np.abs(np.asarray(a.convert("RGB"), np.float32) - np.asarray(b.convert("RGB"), np.float32))
    return np.asarray(apart.mean(axis=-1) / 255)


def _mask(thing: Thing, size: tuple[int, int]) -> Mask:
    return np.asarray(mask(thing, *size)) > 127


def _covers(thing: Thing, size: tuple[int, int]) -> Mask:
    """Where a thing is, at the size in which the judge looks at pictures."""
    share = SIDE / min(size)
    return _mask(thing, (round(size[0] * share), round(size[1] * share)))


def _window(thing: Thing, size: tuple[int, int], by: float) -> Mask:
    """The thing's bounds, enlarged by a share of the sides."""
    box = box_of(_mask(thing, size))
    window = np.zeros((size[1], size[0]), np.bool_)
    x, y = round(by * size[0]), round(by * size[1])
    window[max(0, box.top - y) : box.bottom + y, max(0, box.left - x) : box.right + x] = True
    return window


def _small(share: float) -> int:
    return round(share * SIDE)
