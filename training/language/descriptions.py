"""Requests to describe a picture, and the canonical answers. The request decides how much the answer tells."""

from random import Random

from training.language.canonical import brief, whole
from training.language.split import Split, choose
from training.language.surface import as_question, sentence
from training.language.weaving import crossed, woven
from training.world.scene import Scene

_PLEASE = (
    "",
    "please ",
    "can you ",
    "could you ",
    "would you ",
    "can you please ",
    "I want you to ",
    "I'd like you to ",
)
_TELL = ("describe ", "explain ", "tell me ")
_IMAGE = tuple(crossed(("this ", "the "), ("image", "picture", "photo", "drawing", "scene")))
_SEEN = (
    *("what you see", "what you can see", "what is shown", "what can be seen", "what is there", "what is in it"),
    *("what is in the picture", "what is in this image", "what can be seen here", "what you see here"),
    *("what the picture shows", "what this image shows", "what is shown in the image", "what the drawing shows"),
    *("what can be seen in the picture", "what you see in this image", "what the scene shows"),
)
_ALL = ("everything", "everything you see", "everything that is shown", "everything in the picture", "all you can see")
_FULLY = (" in detail", " precisely", " exactly", " in full detail", " with all details", " carefully")
_BRIEFLY = (" briefly", " in a few words", " in one sentence", " shortly", " in short", " in one short sentence")
_LONG = ("a detailed ", "a precise ", "an exact ", "a full ", "a complete ")
_SHORT = ("a short ", "a brief ", "a very short ", "a simple short ")
_WRITE = ("give ", "give me ", "write ", "make ", "write me ")
_ASKED = ("is shown ", "is there to see ", "can be seen ", "do you see ", "can you see ", "is visible ", "is there ")
_HERE = (
    "in this image",
    "in this picture",
    "in the picture",
    "in the image",
    "in the photo",
    "here",
    "in this drawing",
)


def _asked(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Requests with their capital and their mark."""
    return tuple(
        text[0].upper() + text[1:] + ("?" if text.startswith(("can you", "could you", "would you", "what")) else ".")
        for text in texts
    )


DETAIL_REQUESTS = woven(
    (
        *("Describe this image in detail", "Describe this image in detail.", "Describe the image in detail."),
        *("Describe this picture in detail.", "Describe the picture.", "Describe this image.", "What do you see?"),
        *("What is in this image?", "What is in the picture?", "What does the image show?", "What can you see here?"),
        *("What do you see in this image?", "Please describe the image.", "What does this picture show?"),
    ),
    _asked(
        tuple(crossed(_PLEASE, ("describe ", "explain "), (*_IMAGE, *_SEEN, *_ALL), ("", *_FULLY)))[::11]
        + tuple(crossed(_PLEASE, ("tell me ",), (*_SEEN, *_ALL), ("", *_FULLY)))[::5]
        + tuple(crossed(_PLEASE, ("list ", "name "), _ALL, ("", *_FULLY)))[::5]
        + tuple(crossed(_PLEASE, _WRITE, _LONG, ("description",)))[::4]
        + tuple(crossed(_PLEASE, _WRITE, (*_LONG, "a "), ("description of ",), _IMAGE))[::19]
        + tuple(crossed(("what ",), _ASKED, _HERE))
        + tuple(crossed(("what ",), ("does ",), _IMAGE, (" show", " contain", " show exactly", " show in detail")))
        + tuple(crossed(("what ",), ("is shown", "can be seen", "is there", "can you see", "is visible")))
    ),
    kept=(
        *("Explain what the picture shows.", "What is shown in this image?", "What can be seen in this picture?"),
        *("Tell me everything you see in the picture.", "Please give a detailed description."),
    ),
)
SHORT_REQUESTS = woven(
    (
        *("Give a short caption.", "Give a short description.", "Write a short caption.", "Caption this image."),
        *("Caption the picture.", "Describe this image briefly.", "Describe the image in a few words."),
    ),
    _asked(
        tuple(crossed(_PLEASE, ("describe ", "explain "), (*_IMAGE, *_SEEN), _BRIEFLY))[::11]
        + tuple(crossed(_PLEASE, ("briefly ", "shortly "), _TELL, _SEEN))[::5]
        + tuple(crossed(_PLEASE, ("briefly ", "shortly "), ("describe ", "explain "), _IMAGE))[::3]
        + tuple(crossed(_PLEASE, ("caption ", "summarize ", "name a short title for "), _IMAGE))
        + tuple(crossed(_PLEASE, _WRITE, _SHORT, ("caption", "description", "title", "summary")))[::3]
        + tuple(crossed(_PLEASE, _WRITE, (*_SHORT, "a "), ("caption", "title", "summary"), (" for ", " of "), _IMAGE))[
            ::17
        ]
        + tuple(crossed(_PLEASE, ("tell me ",), _SEEN, _BRIEFLY))[::5]
        + tuple(crossed(("what ",), _ASKED, _HERE, (", in a few words", ", in short", ", in one sentence")))[::5]
    ),
    kept=("Name a short title for this picture.", "Briefly describe what you see.", "Please write a brief caption."),
)
_SHORT_SHARE = 0.35


def describe(scene: Scene, rng: Random, split: Split) -> tuple[str, str]:
    """A request and its answer."""
    if rng.random() < _SHORT_SHARE:
        return as_question(choose(rng, SHORT_REQUESTS, split), rng, split), short_answer(scene)
    return as_question(choose(rng, DETAIL_REQUESTS, split), rng, split), detailed_answer(scene)


def detailed_answer(scene: Scene) -> str:
    """The image shows a large red circle in the center on a white background."""
    return sentence(f"The image {'is blurry and ' if scene.blurry else ''}shows {whole(scene)}")


def short_answer(scene: Scene) -> str:
    """A red circle and a blue square."""
    return sentence(brief(scene))
