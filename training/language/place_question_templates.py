"""The wordings of questions about backdrops, places and positions. Template lists: see `question_frames`."""

from training.language.question_frames import NOWHERE, asked, whether
from training.language.question_kinds import QuestionKind

PLACE_TEMPLATES: dict[QuestionKind, tuple[str, ...]] = {
    QuestionKind.BACKGROUND: asked(
        ("what is the background", "what is in the background", "what is the background of the picture"),
        (
            *("which background do you see", "what does the background show", "what background is this"),
            *(
                "which background does the image have",
                "what background does the picture have",
                "describe the background",
            ),
            *("please describe the background", "can you describe the background", "what kind of background is there"),
            *("what do you see in the background", "what is shown in the background", "how does the background look"),
        ),
        (
            *(
                "what the background is",
                "about the background",
                "what the background shows",
                "what is in the background",
            ),
            *("which background the image has", "what background the picture has", "what kind of background this is"),
        ),
        ("Tell me about the background.", "What background does the image have?"),
        named=("the background",),
        within=NOWHERE,
    ),
    QuestionKind.BACKGROUND_COLOR: asked(
        ("what color is the background", "what is the color of the background", "which color is the background"),
        (
            *(
                "which color does the background have",
                "what is the background color",
                "what color does the background have",
            ),
            *("of what color is the background", "which background color do you see", "what background color is this"),
        ),
        (
            *("the color of the background", "the background color", "what color the background is"),
            *("which color the background has", "which color the background is"),
        ),
        ("Tell me the color of the background.", "Name the background color."),
        named=("the background color", "the color of the background"),
    ),
    QuestionKind.WHERE: asked(
        ("where is the {thing}", "where is the {thing} in the picture", "where do you see the {thing}"),
        (
            *(
                "where in the image is the {thing}",
                "in which part of the picture is the {thing}",
                "where can I see the {thing}",
            ),
            *(
                "what is the position of the {thing}",
                "where on the canvas do you see the {thing}",
                "where was the {thing} drawn",
            ),
            *(
                "in what part of the canvas is the {thing}",
                "what position does the {thing} have",
                "where can you see the {thing}",
            ),
        ),
        (
            *(
                "where the {thing} is",
                "where you see the {thing}",
                "the position of the {thing}",
                "where the {thing} is drawn",
            ),
            *("where on the canvas the {thing} is", "in which part of the picture the {thing} is"),
        ),
        ("Tell me where the {thing} is.", "Where on the canvas is the {thing}?"),
        named=("the position of the {thing}",),
        within=NOWHERE,
    ),
    QuestionKind.WHERE_FROM: asked(
        ("where is the {thing}, seen from the {other}", "where is the {thing} compared to the {other}"),
        (
            *("where is the {thing} relative to the {other}", "on which side of the {other} is the {thing}"),
            *(
                "how does the {thing} lie relative to the {other}",
                "where do you see the {thing}, seen from the {other}",
            ),
            *("where does the {thing} lie, seen from the {other}", "seen from the {other}, where is the {thing}"),
            *(
                "what is the position of the {thing} compared to the {other}",
                "on what side of the {other} is the {thing}",
            ),
        ),
        (
            *("where the {thing} is relative to the {other}", "where the {thing} is compared to the {other}"),
            *("where the {thing} is, seen from the {other}", "on which side of the {other} the {thing} is"),
            *("the position of the {thing} relative to the {other}", "where the {thing} lies, seen from the {other}"),
        ),
        (
            "What is the position of the {thing} relative to the {other}?",
            "Tell me where the {thing} is, seen from the {other}.",
        ),
        within=("", "", " in the picture"),
    ),
    QuestionKind.RELATION: whether(
        ("is the {thing} {rel} the {other}", "do you see the {thing} {rel} the {other}"),
        ("does the image show the {thing} {rel} the {other}", "can you see the {thing} {rel} the {other}"),
        (
            "the {thing} is {rel} the {other}",
            "the {thing} lies {rel} the {other}",
            "the {thing} is placed {rel} the {other}",
        ),
        ("Can you see the {thing} {rel} the {other}?", "Would you say the {thing} is {rel} the {other}?"),
    ),
    QuestionKind.PLACE: asked(
        ("where is this", "what place is this", "which place is this"),
        (
            *(
                "where was this picture made",
                "which place does the picture show",
                "what place do you see",
                "where are we",
            ),
            *("what kind of place is this", "which kind of place do you see", "what kind of place does the image show"),
            *("at what place are we", "in which place are we", "at what kind of place was this picture made"),
        ),
        (
            *(
                "where this is",
                "what place this is",
                "which place you see",
                "what kind of place this is",
                "where we are",
            ),
            *("which place the picture shows", "which place this is", "at what place we are"),
        ),
        ("Tell me which place this is.", "At what kind of place are we?"),
        named=("this place", "the place in the picture", "the kind of place"),
        within=NOWHERE,
    ),
}
