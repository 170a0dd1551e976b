"""Questions about a picture and their canonical short answers. Asks nothing that could be answered in two ways."""

from dataclasses import dataclass
from random import Random

from training.language.arrangement import OPPOSITE, askable, clear_relation, clear_spot
from training.language.canonical import PLACE_NOUN
from training.language.nouns import NUMBERS, PRONOUN, a_noun, noun, reference
from training.language.question_templates import QuestionKind, templates_of
from training.language.split import Split, choose
from training.language.surface import as_question, sentence
from training.language.synonyms import plural, with_synonyms
from training.world.scene import COLORS_OF, GARMENT, PEOPLE, Color, Kind, Place, Pose, Relation, Scene, Thing

_COLORED_SHARE = 0.3  # of the questions whether something is there


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a template is filled with, and the answer."""

    words: dict[str, str]
    answer: str


def ask(scene: Scene, rng: Random, split: Split, kind: QuestionKind | None = None) -> tuple[str, str]:
    """A question and its answer; `kind`, if given, must be one of `possible(scene)`."""
    kind = kind or rng.choice(possible(scene))
    asked = _asked(scene, rng, kind)
    question = choose(rng, templates_of(kind), split).format(**asked.words)
    return as_question(with_synonyms(question, rng), rng, split), sentence(asked.answer)


def possible(scene: Scene) -> tuple[QuestionKind, ...]:
    """The kinds of questions that have one answer in this scene. Never empty."""
    fits = {
        QuestionKind.COLOR: any(thing.kind not in PEOPLE for thing in _lone(scene)),
        QuestionKind.WHAT: len(scene.things) == 1 and bool(_lone(scene)),
        QuestionKind.BACKGROUND: bool(scene.things),
        QuestionKind.BACKGROUND_COLOR: scene.backdrop.color is not None,
        QuestionKind.COUNT: bool(scene.things),
        QuestionKind.WHERE: clear_spot(scene) is not None,
        QuestionKind.WHERE_FROM: bool(_related(scene)),
        QuestionKind.RELATION: bool(_related(scene)),
        QuestionKind.POSE: any(thing.pose for thing in _lone(scene)),
        QuestionKind.IS_POSE: any(thing.pose for thing in _lone(scene)),
        QuestionKind.EXISTS: True,
        QuestionKind.CLOTHES: any(thing.kind in PEOPLE for thing in _lone(scene)),
        QuestionKind.PLACE: scene.backdrop.place is not None,
    }
    return tuple(kind for kind, fit in fits.items() if fit)


def _asked(scene: Scene, rng: Random, kind: QuestionKind) -> _Asked:
    match kind:
        case QuestionKind.COLOR:
            thing = rng.choice([thing for thing in _lone(scene) if thing.kind not in PEOPLE])
            return _Asked({"thing": thing.kind}, f"the {thing.kind} is {thing.color}")
        case QuestionKind.WHAT:
            return _Asked({}, f"this is {a_noun(scene.things[0].kind, scene.things[0].color)}")
        case QuestionKind.BACKGROUND | QuestionKind.BACKGROUND_COLOR:
            place = scene.backdrop.place
            return _Asked({}, f"the background is {PLACE_NOUN[place] if place else scene.backdrop.color}")
        case QuestionKind.COUNT:
            return _count(scene, rng)
        case QuestionKind.WHERE:
            name = scene.things[0].kind
            return _Asked({"thing": name}, f"the {name} is {clear_spot(scene)}")
        case QuestionKind.WHERE_FROM | QuestionKind.RELATION:
            return _relation(scene, rng, kind)
        case QuestionKind.POSE | QuestionKind.IS_POSE:
            thing = rng.choice([thing for thing in _lone(scene) if thing.pose])
            return _pose(thing, rng, kind)
        case QuestionKind.EXISTS:
            return _exists(scene, rng)
        case QuestionKind.CLOTHES:
            thing = rng.choice([thing for thing in _lone(scene) if thing.kind in PEOPLE])
            answer = f"{PRONOUN[thing.kind]} is wearing a {thing.color} {GARMENT[thing.kind]}"
            return _Asked({"thing": thing.kind}, answer)
        case QuestionKind.PLACE:
            assert scene.backdrop.place is not None
            return _Asked({}, f"this is {PLACE_NOUN[scene.backdrop.place]}")


def _count(scene: Scene, rng: Random) -> _Asked:
    kinds = _present(scene)
    if not kinds or rng.random() < 0.2:
        kinds = [kind for kind in Kind if askable(scene, kind)]
    kind = rng.choice(kinds)
    number = sum(thing.kind is kind for thing in scene.things)
    told = f"are {NUMBERS[number] if number else 'no'} {plural(kind)}" if number != 1 else f"is one {kind}"
    return _Asked({"things": plural(kind)}, f"there {told}")


def _exists(scene: Scene, rng: Random) -> _Asked:
    present = _present(scene)
    if scene.backdrop.place and not present:
        return _exists_place(scene.backdrop.place, rng)
    if present and rng.random() < 0.5:
        kind = rng.choice(present)
        seen = [thing for thing in scene.things if thing.kind is kind]
        color = None
        if rng.random() < _COLORED_SHARE:
            color = rng.choice(seen).color
            seen = [thing for thing in seen if thing.color is color]
        verb = "is" if len(seen) == 1 else "are"
        return _Asked({"a": a_noun(kind, color)}, f"yes, there {verb} {a_noun(kind, color, count=len(seen))}")
    if present and rng.random() < _COLORED_SHARE:  # the kind is there, the colour is not
        kind = rng.choice(present)
        colors = {thing.color for thing in scene.things if thing.kind is kind}
        return _absent(kind, rng.choice([color for color in COLORS_OF[kind] if color not in colors]))
    here = {thing.kind for thing in scene.things}
    return _absent(rng.choice([kind for kind in Kind if kind not in here and askable(scene, kind)]), None)


def _exists_place(place: Place, rng: Random) -> _Asked:
    if rng.random() < 0.5:
        return _Asked({"a": PLACE_NOUN[place]}, f"yes, there is {PLACE_NOUN[place]}")
    other = rng.choice([other for other in Place if other not in (place, Place.NIGHT_SKY)])
    return _Asked({"a": PLACE_NOUN[other]}, f"no, there is no {PLACE_NOUN[other].removeprefix('a ')}")


def _absent(kind: Kind, color: Color | None) -> _Asked:
    return _Asked({"a": a_noun(kind, color)}, f"no, there is no {noun(kind, color)}")


def _relation(scene: Scene, rng: Random, kind: QuestionKind) -> _Asked:
    a, b, rel = rng.choice(_related(scene))
    first, second = reference(a, scene.things), reference(b, scene.things)
    told = f"the {first} is {rel} the {second}"
    if kind is QuestionKind.WHERE_FROM:
        return _Asked({"thing": first, "other": second}, told)
    true = rng.random() < 0.5
    words = rng.choice(_RELATION_ASKED[rel if true else OPPOSITE[rel]])
    return _Asked({"thing": first, "other": second, "rel": words}, f"{'yes' if true else 'no'}, {told}")


_RELATION_ASKED: dict[Relation, tuple[str, ...]] = {
    Relation.LEFT_OF: ("to the left of", "left of"),
    Relation.RIGHT_OF: ("to the right of", "right of"),
    Relation.ABOVE: ("above",),
    Relation.BELOW: ("below", "under"),
}


def _pose(thing: Thing, rng: Random, kind: QuestionKind) -> _Asked:
    told = f"the {thing.kind} is {thing.pose}"
    if kind is QuestionKind.POSE:
        return _Asked({"thing": thing.kind}, told)
    pose = rng.choice(tuple(Pose))
    words = {"thing": str(thing.kind), "pose": str(pose), "verb": "sit" if pose is Pose.SITTING else "stand"}
    return _Asked(words, f"{'yes' if pose is thing.pose else 'no'}, {told}")


def _lone(scene: Scene) -> list[Thing]:
    """Things that are the only one of their kind."""
    kinds = [thing.kind for thing in scene.things]
    return [thing for thing in scene.things if kinds.count(thing.kind) == 1 and askable(scene, thing.kind)]


def _present(scene: Scene) -> list[Kind]:
    return [kind for kind in dict.fromkeys(thing.kind for thing in scene.things) if askable(scene, kind)]


def _related(scene: Scene) -> list[tuple[Thing, Thing, Relation]]:
    """Pairs of things, in both orders, with a clear relation; no two alike, nor anything like the landscape."""
    things = [thing for thing in scene.things if askable(scene, thing.kind)]
    return [
        (a, b, rel)
        for a in things
        for b in things
        if (a.kind, a.color) != (b.kind, b.color) and (rel := clear_relation(a, b)) is not None
    ]
