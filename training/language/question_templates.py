"""The wordings of questions about a picture. Template lists: see `split`; their making: `question_frames`."""

from training.language.place_question_templates import PLACE_TEMPLATES
from training.language.question_frames import NOWHERE, asked, whether
from training.language.question_kinds import QuestionKind

__all__ = ["QuestionKind", "templates_of"]

_THING_TEMPLATES: dict[QuestionKind, tuple[str, ...]] = {
    QuestionKind.COLOR: asked(
        ("what color is the {thing}", "what is the color of the {thing}", "which color is the {thing}"),
        (
            *("which color does the {thing} have", "what color does the {thing} have", "in what color is the {thing}"),
            *(
                "in which color is the {thing} drawn",
                "what color do you see on the {thing}",
                "of what color is the {thing}",
            ),
        ),
        (
            "the color of the {thing}",
            "what color the {thing} is",
            "which color the {thing} has",
            "what color the {thing} has",
        ),
        ("In which color is the {thing} drawn?", "Name the color of the {thing}."),
        named=("the color of the {thing}",),
    ),
    QuestionKind.WHAT: asked(
        ("what is this", "what is it", "what is the thing in the picture", "what thing is this"),
        (
            *("which thing is in the picture", "which object do you see", "what is the object in the image"),
            *("what object is this", "which object is this", "which thing is drawn here", "what thing do you see here"),
            *("what object can you see", "which object is shown here", "what thing is drawn in this picture"),
            *("what object is in the image", "which thing is shown", "what thing is shown in the image"),
        ),
        (
            *("what this is", "what thing this is", "which object this is", "what the object in the picture is"),
            *("which thing is drawn here", "what object is in the picture", "what object this is", "what it is"),
        ),
        ("Tell me what this is.", "What object is drawn here?"),
        named=("the thing in the picture", "the object in the image", "the object", "this thing"),
        within=NOWHERE,
    ),
    QuestionKind.COUNT: asked(
        ("how many {things} are there", "how many {things} do you see", "how many {things} are in the picture"),
        (
            *("how many {things} are in the image", "what is the number of {things}", "how many {things} can you see"),
            *("count the {things}", "how many {things} does the image show", "how many {things} can be seen"),
            *("please count the {things}", "can you count the {things}", "how many {things} does this picture show"),
            *("how many {things} are shown here", "how many {things} are drawn here", "how many {things} do you count"),
        ),
        (
            *("how many {things} there are", "the number of {things}", "how many {things} you see"),
            *(
                "how many {things} are in the picture",
                "how many {things} the picture shows",
                "how many {things} you count",
            ),
        ),
        ("Tell me how many {things} there are.", "How many {things} does the picture show?"),
        named=("the number of {things}",),
        within=NOWHERE,
    ),
    QuestionKind.POSE: asked(
        ("what is the {thing} doing", "what does the {thing} do", "is the {thing} sitting or standing"),
        (
            *("does the {thing} sit or stand", "which pose does the {thing} have", "what pose does the {thing} have"),
            *("what pose is the {thing} in", "is the {thing} standing or sitting", "does the {thing} stand or sit"),
            "what is the pose of the {thing}",
        ),
        (
            *(
                "what the {thing} is doing",
                "which pose the {thing} has",
                "the pose of the {thing}",
                "what the {thing} does",
            ),
            *("whether the {thing} is sitting or standing", "if the {thing} sits or stands"),
            *("if the {thing} is standing or sitting", "whether the {thing} stands or sits"),
        ),
        ("Tell me what the {thing} is doing.", "Is the {thing} standing or sitting?"),
        named=("the pose of the {thing}",),
    ),
    QuestionKind.IS_POSE: whether(
        ("is the {thing} {pose}", "does the {thing} {verb}"),
        ("do you see the {thing} {pose}", "can you see the {thing} {pose}", "does the picture show the {thing} {pose}"),
        ("the {thing} is {pose}", "the {thing} {verb}s"),
        ("Can you see the {thing} {pose}?", "Would you say the {thing} is {pose}?"),
    ),
    QuestionKind.EXISTS: whether(
        ("is there {a}", "do you see {a}", "is there {a} in the picture", "can you see {a}"),
        (
            "does the picture show {a}",
            "is {a}",
            "does the image contain {a}",
            "does it contain {a}",
            "can {a} be seen",
            "does this picture have {a}",
        ),
        ("there is {a}", "you see {a}", "you can see {a}", "{a} can be seen", "the picture shows {a}"),
        ("Does the image contain {a}?", "Can {a} be seen here?"),
    ),
    QuestionKind.CLOTHES: asked(
        ("what is the {thing} wearing", "what does the {thing} wear"),
        (
            *(
                "which clothes does the {thing} wear",
                "what clothes is the {thing} wearing",
                "what clothes does the {thing} have on",
            ),
            *(
                "describe the clothes of the {thing}",
                "please describe the clothes of the {thing}",
                "what are the clothes of the {thing}",
            ),
        ),
        (
            *("what the {thing} wears", "which clothes the {thing} is wearing", "what the {thing} is wearing"),
            *("what clothes the {thing} wears", "about the clothes of the {thing}"),
        ),
        ("Describe the clothes of the {thing}.", "Tell me what the {thing} is wearing."),
        named=("the clothes of the {thing}",),
    ),
}
_TEMPLATES = _THING_TEMPLATES | PLACE_TEMPLATES


def templates_of(kind: QuestionKind) -> tuple[str, ...]:
    """The wordings of one kind of question."""
    return _TEMPLATES[kind]
