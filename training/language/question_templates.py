"""The wordings of questions about a picture. Template lists: see `split`."""

from enum import Enum


class QuestionKind(Enum):
    """What a question asks for."""

    COLOR = "color"
    WHAT = "what"
    BACKGROUND = "background"
    BACKGROUND_COLOR = "background color"
    COUNT = "count"
    WHERE = "where"  # on the canvas
    WHERE_FROM = "where from"  # seen from another thing
    RELATION = "relation"  # yes or no
    POSE = "pose"
    IS_POSE = "is pose"  # yes or no
    EXISTS = "exists"  # yes or no
    CLOTHES = "clothes"
    PLACE = "place"


_TEMPLATES: dict[QuestionKind, tuple[str, ...]] = {
    QuestionKind.COLOR: (
        "What color is the {thing}?",
        "What is the color of the {thing}?",
        "Which color is the {thing}?",
        "Which color does the {thing} have?",
        "What color does the {thing} have?",
        "Tell me the color of the {thing}.",
        "In which color is the {thing} drawn?",
        "Name the color of the {thing}.",
    ),
    QuestionKind.WHAT: (
        "What is this?",
        "What is it?",
        "What is the thing in the picture?",
        "Which thing is in the picture?",
        "What thing is this?",
        "Which object do you see?",
        "What is the object in the image?",
        "Tell me what this is.",
        "What object is drawn here?",
    ),
    QuestionKind.BACKGROUND: (
        "What is the background?",
        "What is in the background?",
        "What is the background of the picture?",
        "Which background do you see?",
        "What does the background show?",
        "Describe the background.",
        "Tell me about the background.",
        "What background does the image have?",
    ),
    QuestionKind.BACKGROUND_COLOR: (
        "What color is the background?",
        "What is the color of the background?",
        "Which color is the background?",
        "Which color does the background have?",
        "What is the background color?",
        "Tell me the color of the background.",
        "Name the background color.",
    ),
    QuestionKind.COUNT: (
        "How many {things} are there?",
        "How many {things} do you see?",
        "How many {things} are in the picture?",
        "How many {things} are in the image?",
        "What is the number of {things}?",
        "Count the {things}.",
        "How many {things} can you see?",
        "Tell me how many {things} there are.",
        "How many {things} does the picture show?",
    ),
    QuestionKind.WHERE: (
        "Where is the {thing}?",
        "Where is the {thing} in the picture?",
        "Where do you see the {thing}?",
        "Where in the image is the {thing}?",
        "In which part of the picture is the {thing}?",
        "What is the position of the {thing}?",
        "Tell me where the {thing} is.",
        "Where on the canvas is the {thing}?",
    ),
    QuestionKind.WHERE_FROM: (
        "Where is the {thing}, seen from the {other}?",
        "Where is the {thing} compared to the {other}?",
        "Where is the {thing} relative to the {other}?",
        "On which side of the {other} is the {thing}?",
        "How does the {thing} lie relative to the {other}?",
        "What is the position of the {thing} relative to the {other}?",
        "Tell me where the {thing} is, seen from the {other}.",
    ),
    QuestionKind.RELATION: (
        "Is the {thing} {rel} the {other}?",
        "Is the {thing} {rel} the {other} in the picture?",
        "Do you see the {thing} {rel} the {other}?",
        "Is it true that the {thing} is {rel} the {other}?",
        "Does the image show the {thing} {rel} the {other}?",
        "Can you see the {thing} {rel} the {other}?",
        "Would you say the {thing} is {rel} the {other}?",
    ),
    QuestionKind.POSE: (
        "What is the {thing} doing?",
        "What does the {thing} do?",
        "Is the {thing} sitting or standing?",
        "Does the {thing} sit or stand?",
        "Which pose does the {thing} have?",
        "What is the pose of the {thing}?",
        "Tell me what the {thing} is doing.",
        "Is the {thing} standing or sitting?",
    ),
    QuestionKind.IS_POSE: (
        "Is the {thing} {pose}?",
        "Is the {thing} {pose} in the picture?",
        "Does the {thing} {verb}?",
        "Is it true that the {thing} is {pose}?",
        "Do you see the {thing} {pose}?",
        "Can you see the {thing} {pose}?",
        "Would you say the {thing} is {pose}?",
    ),
    QuestionKind.EXISTS: (
        "Is there {a} in the picture?",
        "Is there {a} in the image?",
        "Is there {a}?",
        "Do you see {a}?",
        "Can you see {a}?",
        "Does the picture show {a}?",
        "Can you see {a} in the picture?",
        "Is {a} in the picture?",
        "Does the image contain {a}?",
        "Can {a} be seen here?",
    ),
    QuestionKind.CLOTHES: (
        "What is the {thing} wearing?",
        "What does the {thing} wear?",
        "What is the {thing} wearing in the picture?",
        "Which clothes does the {thing} wear?",
        "What clothes is the {thing} wearing?",
        "Describe the clothes of the {thing}.",
        "Tell me what the {thing} is wearing.",
    ),
    QuestionKind.PLACE: (
        "Where is this?",
        "What place is this?",
        "Which place is this?",
        "Where was this picture made?",
        "Which place does the picture show?",
        "What place do you see?",
        "What kind of place is this?",
        "Tell me which place this is.",
        "At what kind of place are we?",
    ),
}


def templates_of(kind: QuestionKind) -> tuple[str, ...]:
    """The wordings of one kind of question."""
    return _TEMPLATES[kind]
