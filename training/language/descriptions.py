"""Requests to describe a picture, and the canonical answers. The request decides how much the answer tells."""

from random import Random

from training.language.canonical import brief, whole
from training.language.split import Split, choose
from training.language.surface import as_question, sentence
from training.world.scene import Scene

DETAIL_REQUESTS = (
    "Describe this image in detail",
    "Describe this image in detail.",
    "Describe the image in detail.",
    "Describe this picture in detail.",
    "Describe the picture.",
    "Describe this image.",
    "What is in this image?",
    "What is in the picture?",
    "What do you see?",
    "What do you see in this image?",
    "What does the image show?",
    "What does this picture show?",
    "What can you see here?",
    "Please describe the image.",
    "Tell me what is in the image.",
    "Explain what the picture shows.",
    "What is shown in this image?",
    "Tell me everything you see in the picture.",
    "Please give a detailed description.",
    "What can be seen in this picture?",
)
SHORT_REQUESTS = (
    "Give a short caption.",
    "Give a short description.",
    "Write a short caption.",
    "Caption this image.",
    "Caption the picture.",
    "Describe this image briefly.",
    "Describe the image in a few words.",
    "Write a caption for this image.",
    "Give a caption for the picture.",
    "Name a short title for this picture.",
    "Briefly describe what you see.",
    "Please write a brief caption.",
)
_SHORT_SHARE = 0.35


def describe(scene: Scene, rng: Random, split: Split) -> tuple[str, str]:
    """A request and its answer."""
    if rng.random() < _SHORT_SHARE:
        return as_question(choose(rng, SHORT_REQUESTS, split), rng), short_answer(scene)
    return as_question(choose(rng, DETAIL_REQUESTS, split), rng), detailed_answer(scene)


def detailed_answer(scene: Scene) -> str:
    """The image shows a large red circle in the center on a white background."""
    return sentence(f"The image {'is blurry and ' if scene.blurry else ''}shows {whole(scene)}")


def short_answer(scene: Scene) -> str:
    """A red circle and a blue square."""
    return sentence(brief(scene))
