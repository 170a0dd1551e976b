"""The wordings of instructions: polite forms around what every kind of change is called. Lists: see `split`."""

from collections.abc import Iterator

from training.language.weaving import crossed, woven
from training.world.edits import EditKind
from training.world.scene import Spot

TO_SPOT: dict[Spot, str] = {
    Spot.CENTER: "to the center",
    Spot.LEFT: "to the left",
    Spot.RIGHT: "to the right",
    Spot.TOP: "to the top",
    Spot.BOTTOM: "to the bottom",
    Spot.TOP_LEFT: "to the top left corner",
    Spot.TOP_RIGHT: "to the top right corner",
    Spot.BOTTOM_LEFT: "to the bottom left corner",
    Spot.BOTTOM_RIGHT: "to the bottom right corner",
}
_BEFORE = (
    *("", "please ", "can you ", "could you ", "would you ", "can you please ", "I want you to ", "now "),
    *("I would like you to ", "I'd like you to ", "now please ", "next, ", "could you please "),
)
_AFTER = ("", "", ", please", " in this picture", " in the picture", " in this image", " now", " for me")
_WISH = ("I want ", "I would like ", "I'd like ", "I'd love ", "now I want ", "I wish ", "I need ")
_SHOULD = (" should ", " shall ", " must ", " should now ")


def _told(
    orders: tuple[str, ...], wishes: tuple[str, ...], subject: str = "", should: tuple[str, ...] = ()
) -> Iterator[str]:
    """All polite ways to give these orders, to wish for this, and to say what the subject should do."""
    polite = (before + order + after for before in _BEFORE for order in orders for after in _AFTER)
    yield from (text for text in polite if not _says_twice(text))
    yield from crossed(_WISH, wishes, ("", ", please", " in this picture", " in the picture"))
    yield from crossed((subject,), _SHOULD, should, ("", ", please", " in this picture"))
    yield from crossed((f"I think {subject}",), _SHOULD, should)


def _says_twice(text: str) -> bool:
    low = text.lower()
    return any(low.count(word) > 1 for word in ("please", "now", "picture")) or ("picture" in low and "image" in low)


def _woven(
    plain: tuple[str, ...],
    more: tuple[str, ...],
    kept: tuple[str, ...],
    *,
    wishes: tuple[str, ...],
    subject: str = "",
    should: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """`plain` and `more` are orders in lower case; the former also stand alone, often."""
    return woven(plain, _told((*plain, *more), wishes, subject, should), kept)


_T = "the {thing}"
_B = "the background"
TEMPLATES: dict[EditKind, tuple[str, ...]] = {
    EditKind.RECOLOR: _woven(
        (
            *("change the color of the {thing} to {color}", "make the {thing} {color}", "paint the {thing} {color}"),
            *("turn the {thing} {color}", "color the {thing} {color}", "change the {thing} to {color}"),
        ),
        (
            *("let the {thing} be {color}", "recolor the {thing} to {color}", "give the {thing} a {color} color"),
            *("set the color of the {thing} to {color}", "let the color of the {thing} be {color}"),
        ),
        (
            "Give the {thing} a {color} color",
            "Set the color of the {thing} to {color}",
            "I want the {thing} to be {color}",
        ),
        wishes=(
            "the {thing} to be {color}",
            "the color of the {thing} to be {color}",
            "the {thing} {color}",
            "a {color} {thing}",
        ),
        subject=_T,
        should=("be {color}", "become {color}", "have a {color} color", "turn {color}"),
    ),
    EditKind.ADD: _woven(
        ("add {a} {spot}", "draw {a} {spot}", "put {a} {spot}", "place {a} {spot}"),
        (
            *("add {a} {spot} of the picture", "insert {a} {spot}", "also draw {a} {spot}", "include {a} {spot}"),
            *("let there be {a} {spot}", "also add {a} {spot}", "paint {a} {spot}", "also include {a} {spot}"),
        ),
        ("Now add {a} {spot}", "I want {a} {spot}", "Include {a} {spot}"),
        wishes=("{a} {spot}", "to have {a} {spot}", "to see {a} {spot}", "{a} added {spot}"),
        subject="there",
        should=("be {a} {spot}", "also be {a} {spot}", "be {a} added {spot}"),
    ),
    EditKind.REMOVE: _woven(
        (
            "remove the {thing}",
            "delete the {thing}",
            "erase the {thing}",
            "take away the {thing}",
            "take the {thing} out",
        ),
        (
            *("remove the {thing} from the picture", "make the {thing} disappear", "let the {thing} vanish"),
            *("get rid of the {thing}", "cut out the {thing}", "make the {thing} vanish", "let the {thing} disappear"),
        ),
        ("The {thing} should be gone", "Cut out the {thing}", "I want the {thing} gone"),
        wishes=(
            "the {thing} gone",
            "the {thing} removed",
            "the {thing} to be gone",
            "the {thing} to disappear",
            "no {thing}",
        ),
        subject=_T,
        should=("be gone", "disappear", "vanish", "be removed", "go away"),
    ),
    EditKind.MOVE: _woven(
        ("move the {thing} {spot}", "shift the {thing} {spot}", "bring the {thing} {spot}"),
        (
            *("move the {thing} {spot} of the picture", "push the {thing} {spot}", "let the {thing} go {spot}"),
            *("drag the {thing} {spot}", "slide the {thing} {spot}", "let the {thing} move {spot}"),
        ),
        ("Drag the {thing} {spot}", "Slide the {thing} {spot}", "I want the {thing} moved {spot}"),
        wishes=("the {thing} moved {spot}", "the {thing} to move {spot}", "the {thing} to be moved {spot}"),
        subject=_T,
        should=("move {spot}", "go {spot}", "be moved {spot}"),
    ),
    EditKind.BACKDROP: _woven(
        ("change the background to {color}", "make the background {color}", "turn the background {color}"),
        (
            *("paint the background {color}", "use a {color} background", "replace the background with plain {color}"),
            *("change the color of the background to {color}", "set the background to {color}"),
            *("let the background be {color}", "color the background {color}", "give it a {color} background"),
        ),
        ("Set the background to {color}", "I want a {color} background", "Let the background be {color}"),
        wishes=(
            "a {color} background",
            "the background to be {color}",
            "a plain {color} background",
            "the background {color}",
        ),
        subject=_B,
        should=("be {color}", "become {color}", "be plain {color}", "turn {color}"),
    ),
    EditKind.POSE: _woven(
        ("make the {thing} {verb} {way}", "let the {thing} {verb} {way}", "make the {thing} {verb}"),
        (
            *("change the pose of the {thing} to {pose}", "show the {thing} {pose}", "draw the {thing} {pose}"),
            *("have the {thing} {verb} {way}", "have the {thing} {verb}", "let the {thing} {verb}"),
        ),
        ("Draw the {thing} {pose}", "Have the {thing} {verb} {way}", "I want the {thing} to {verb} {way}"),
        wishes=(
            "the {thing} to {verb} {way}",
            "the {thing} to {verb}",
            "the {thing} to be {pose}",
            "the {thing} {pose}",
        ),
        subject=_T,
        should=("{verb}", "{verb} {way}", "be {pose}"),
    ),
    EditKind.REPLACE: _woven(
        (
            "replace the {thing} with {a}",
            "turn the {thing} into {a}",
            "change the {thing} to {a}",
            "make the {thing} {a}",
        ),
        (
            *("change the {thing} into {a}", "swap the {thing} for {a}", "transform the {thing} into {a}"),
            *("exchange the {thing} for {a}", "swap the {thing} with {a}", "draw {a} instead of the {thing}"),
        ),
        ("Transform the {thing} into {a}", "Exchange the {thing} for {a}", "I want {a} instead of the {thing}"),
        wishes=("{a} instead of the {thing}", "the {thing} to become {a}", "the {thing} to be {a}"),
        subject=_T,
        should=("become {a}", "be {a}", "turn into {a}", "be replaced with {a}"),
    ),
}
RECOLOR_CLOTHES = _woven(
    (
        *("let the {thing} wear a {color} {garment}", "change the {garment} of the {thing} to {color}"),
        *("make the {garment} of the {thing} {color}", "give the {thing} a {color} {garment}"),
    ),
    (
        *("put the {thing} in a {color} {garment}", "make the {thing} wear a {color} {garment}"),
        *("change the color of the {garment} of the {thing} to {color}", "paint the {garment} of the {thing} {color}"),
        *("dress the {thing} in a {color} {garment}", "have the {thing} wear a {color} {garment}"),
    ),
    (
        *("Dress the {thing} in a {color} {garment}", "The {garment} of the {thing} should be {color}"),
        "I want the {thing} to wear a {color} {garment}",
    ),
    wishes=("the {thing} to wear a {color} {garment}", "the {garment} of the {thing} to be {color}"),
    subject=_T,
    should=("wear a {color} {garment}", "have a {color} {garment}", "be dressed in a {color} {garment}"),
)
TO_PLACE = _woven(
    ("change the background to {place}", "make the background {place}", "replace the background with {place}"),
    (
        *("turn the background into {place}", "use {place} as the background", "set the background to {place}"),
        *("let the background be {place}", "change the background into {place}", "draw {place} in the background"),
    ),
    ("Set the background to {place}", "I want {place} in the background", "Let the background be {place}"),
    wishes=("{place} in the background", "{place} as the background", "the background to be {place}"),
    subject=_B,
    should=("be {place}", "become {place}", "turn into {place}"),
)
ONTO_PLACE = _woven(
    ("put {it} {where}", "place {it} {where}", "show {it} {where}"),
    ("draw {it} {where}", "let {it} be {where}", "set {it} {where}", "paint {it} {where}", "move {it} {where}"),
    ("Set {it} {where}", "I want {it} {where}"),
    wishes=("{it} {where}", "to see {it} {where}", "{it} to be {where}"),
)
