"""Instructions to change a picture. They name the changed thing so that only one can be meant."""

from random import Random

from training.language.arrangement import side
from training.language.backdrops import before
from training.language.canonical import PLACE_NOUN
from training.language.instruction_templates import ONTO_PLACE, RECOLOR_CLOTHES, TEMPLATES, TO_PLACE, TO_SPOT
from training.language.nouns import a_noun, reference
from training.language.split import Split, choose
from training.language.surface import as_prompt
from training.language.synonyms import with_synonyms
from training.world.edits import Edit, EditKind
from training.world.scene import GARMENT, PEOPLE, Pose, Spot, Thing, spot_of


def instruction(edit: Edit, rng: Random, split: Split) -> str:
    """What a person says who wants this change."""
    return as_prompt(with_synonyms(_filled(edit, rng, split), rng), rng, split)


def added_at(edit: Edit) -> Spot:
    """Where the new thing is: in landscapes, where the ground sets its height, only the side."""
    new = changed(edit)
    return (side(new) if edit.after.backdrop.place else None) or spot_of(new)


def changed(edit: Edit) -> Thing:
    """The thing that an edit is about, as it was, or as it is where it is new."""
    if edit.target is None:
        raise ValueError(f"a {edit.kind} edit changes no thing")
    return (edit.after if edit.kind is EditKind.ADD else edit.before).things[edit.target]


def _filled(edit: Edit, rng: Random, split: Split) -> str:
    template = choose(rng, TEMPLATES[edit.kind], split)
    if edit.kind is EditKind.BACKDROP:
        return _backdrop(edit, template, rng, split)
    old = changed(edit)
    if edit.kind is EditKind.ADD:
        return template.format(a=a_noun(old.kind, old.color), spot=added_at(edit))
    name = reference(old, edit.before.things)
    if edit.kind is EditKind.REMOVE:
        return template.format(thing=name)
    assert edit.target is not None
    new = edit.after.things[edit.target]
    match edit.kind:
        case EditKind.RECOLOR if old.kind in PEOPLE:
            template = choose(rng, RECOLOR_CLOTHES, split)
            return template.format(thing=name, color=new.color, garment=GARMENT[old.kind])
        case EditKind.RECOLOR:
            return template.format(thing=name, color=new.color)
        case EditKind.MOVE:
            return template.format(thing=name, spot=TO_SPOT[spot_of(new)])
        case EditKind.POSE:
            verb = "sit" if new.pose is Pose.SITTING else "stand"
            way = "down" if new.pose is Pose.SITTING else "up"
            return template.format(thing=name, verb=verb, way=way, pose=new.pose)
        case _:
            return template.format(thing=name, a=a_noun(new.kind))


def _backdrop(edit: Edit, template: str, rng: Random, split: Split) -> str:
    backdrop = edit.after.backdrop
    if backdrop.place is None:
        return template.format(color=backdrop.color)
    it = "it" if len(edit.after.things) == 1 else "them"
    if rng.random() < 0.5:
        where = before(backdrop, rng, split)
        if not where.startswith("with"):
            return choose(rng, ONTO_PLACE, split).format(it=it, where=where)
    return choose(rng, TO_PLACE, split).format(place=PLACE_NOUN[backdrop.place])
