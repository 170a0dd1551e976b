"""The kinds of questions about a picture. Knows no wording."""

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
