"""What the model thinks before it draws, changes or answers. Nothing here is random."""

import re

from training.language.canonical import PLACE_NOUN, whole
from training.language.instruction_templates import TO_SPOT
from training.language.instructions import added_at, changed
from training.language.nouns import a_noun, reference
from training.language.surface import sentence, tidy
from training.world.edits import Edit, EditKind
from training.world.scene import GARMENT, PEOPLE, Color, Pose, Scene, spot_of

OPEN, CLOSE = "<think>", "</think>"
_STAYS = "Everything else stays the same."
# Of an answer that begins in lower case; the first pattern that fits counts.
_TOPICS: tuple[tuple[str, str], ...] = (
    (r"the capital of (.+) is (.+)\.", r"The question asks for the capital of \1. It is \2."),
    (r"(\d+) \+ (\d+) = (\d+)\.", r"The question asks for the sum of \1 and \2. It is \3."),
    (r"(\d+) - (\d+) = (\d+)\.", r"The question asks for the difference of \1 and \2. It is \3."),
    (r"the image .+", "The question asks for a description. I should name everything in the picture."),
    (r"the background is (.+)\.", r"The question asks for the background. It is \1."),
    (r"this is (.+)\.", r"The question asks what this is. It is \1."),
    (r"yes, there (?:is|are) (.+)\.", r"The question asks about \1. I can see that. The answer is yes."),
    (r"no, there is no (.+)\.", r"The question asks about a \1. I cannot see that. The answer is no."),
    (r"(yes|no), (the .+?) is (.+)\.", r"The question asks about \2. It is \3, so \1."),
    (r"there (?:is|are) (\S+) (.+)\.", r"The question asks for the number. I count \1 \2."),
    (r"(?:she|he) is wearing (.+)\.", r"The question asks for the clothes. I see \1."),
    (rf"(.+) is ({'|'.join(Color)})\.", r"The question asks for the color of \1. It is \2."),
    (rf"(.+) is ({'|'.join(Pose)})\.", r"The question asks for the pose of \1. It is \2."),
    (r"(the .+?) is (.+)\.", r"The question asks for the position of \1. It is \2."),
    (r"i (?:am a|can) .+", "The question is about me."),
    (r"(?:hello|i am fine|you are|goodbye).*", "The user is friendly. I should reply kindly."),
)
_ELSE = "The question asks for a short description. I should name the things."  # whose answer is a bare noun phrase


def image_thought(scene: Scene) -> str:
    """What a picture should show."""
    return _thinking(sentence(f"the picture should {'be blurry and ' if scene.blurry else ''}show {whole(scene)}"))


def edit_thought(edit: Edit) -> str:
    """What should change, and that the rest stays."""
    return _thinking(f"{sentence(_change(edit))} {_STAYS}")


def answer_with_thought(question: str, answer: str) -> str:
    """The whole text: a thought that repeats the topic, then the answer. What a canonical answer is about shows in it,
    so the question's wording is not looked at.
    """
    begun_low = answer[0].lower() + answer[1:]
    for pattern, thought in _TOPICS:
        if match := re.fullmatch(pattern, begun_low):
            return _thinking(tidy(match.expand(thought))) + answer
    return _thinking(_ELSE) + answer


def _thinking(thought: str) -> str:
    return f"{OPEN}{thought}{CLOSE}"


def _change(edit: Edit) -> str:
    if edit.kind is EditKind.BACKDROP:
        backdrop = edit.after.backdrop
        return f"the background should become {PLACE_NOUN[backdrop.place] if backdrop.place else backdrop.color}"
    old = changed(edit)
    if edit.kind is EditKind.ADD:
        return f"{a_noun(old.kind, old.color)} should appear {added_at(edit)}"
    name = f"the {reference(old, edit.before.things)} should"
    if edit.kind is EditKind.REMOVE:
        return f"{name} disappear"
    assert edit.target is not None
    new = edit.after.things[edit.target]
    match edit.kind:
        case EditKind.RECOLOR if old.kind in PEOPLE:
            return f"{name} wear a {new.color} {GARMENT[old.kind]}"
        case EditKind.RECOLOR:
            return f"{name} become {new.color}"
        case EditKind.MOVE:
            return f"{name} move {TO_SPOT[spot_of(new)]}"
        case EditKind.POSE:
            return f"{name} {'sit down' if new.pose is Pose.SITTING else 'stand up'}"
        case _:
            return f"{name} become {a_noun(new.kind)}"
