"""Which tasks the judge can measure: those whose facts it finds in the renderer's own pictures of them.

A pink tree on a brown backdrop hides its trunk, three wide cats in a row overlap: such tasks would measure the judge.
Nothing here looks at what a model made.
"""

from dataclasses import replace
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from training.judge.changes import judge_edit
from training.judge.pictures import Asked, judge_picture
from training.world.edits import Edit
from training.world.render import render
from training.world.sample import SEEDS
from training.world.scene import Scene

SIDE = 256  # of the evaluation's pictures
_PLAIN_TRIES, _PLACE_TRIES = 1, 10
_NOISE, _SHIFT = 6, 8  # levels


def measurable_scene(scene: Scene, asked: Asked, rng: Random) -> bool:
    """Whether other pictures with the same facts are accepted, also slightly blurred and noisy."""
    if not judge_picture(render(scene, SIDE, SIDE), scene, asked).ok:
        return False
    tries = _PLAIN_TRIES if scene.backdrop.color else _PLACE_TRIES
    others = (render(reseeded(scene, rng), SIDE, SIDE) for _ in range(tries))
    return all(judge_picture(roughened(other, rng), scene, asked).ok for other in others)


def measurable_edit(edit: Edit, rng: Random) -> bool:
    """Whether the renderer's change is accepted, also slightly blurred and noisy, and no change is not."""
    before, after = render(edit.before, SIDE, SIDE), render(edit.after, SIDE, SIDE)
    kept = judge_edit(before, after, edit).ok and judge_edit(before, roughened(after, rng), edit).ok
    return kept and not judge_edit(before, before, edit).ok


def reseeded(scene: Scene, rng: Random) -> Scene:
    """The same facts with other looks."""
    things = tuple(replace(thing, seed=rng.randrange(SEEDS)) for thing in scene.things)
    return replace(scene, things=things, backdrop=replace(scene.backdrop, seed=rng.randrange(SEEDS)))


def roughened(image: Image.Image, rng: Random) -> Image.Image:
    """As a good generative model may draw it: a little blurred, noisy, and off in colour."""
    noise = np.random.default_rng(rng.randrange(SEEDS))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(1)), np.float32)
    levels = soft + noise.uniform(-_NOISE, _NOISE, soft.shape) + noise.uniform(-_SHIFT, _SHIFT, 3)
    return Image.fromarray(np.clip(levels, 0, 255).round().astype(np.uint8))
