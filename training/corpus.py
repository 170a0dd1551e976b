"""The corpus: pictures of the world with their texts, in arrays. Rendered by worker processes, chunk by chunk.

A chunk depends on its bucket, its number and the tokenizer alone: any number of workers makes the same corpus.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bagel.config import ModelConfig, load_model_config
from bagel.contexts import SYSTEM_PROMPT_IMAGE, SYSTEM_PROMPT_TEXT
from bagel.images import resize
from training.blocks import Block
from training.buckets import CHUNK, Bucket
from training.language.captions import Detail, caption
from training.language.descriptions import describe
from training.language.instructions import instruction
from training.language.plain import plain
from training.language.questions import ask
from training.language.split import Split
from training.language.thoughts import answer_with_thought, edit_thought, image_thought
from training.world.edits import Edit, EditKind
from training.world.mix import DRAWING, EVEN, Mix
from training.world.render import render
from training.world.sample import Layout, Pool, sample_scene
from training.world.sample_edits import sample_edit
from training.world.scene import Place, Scene
from training.writer import ANSWER_SLOTS, EDIT_SLOTS, PROMPT_SLOTS, TEXT_SLOTS, THINK_SLOTS, Piece, Slots, Writer

Array = NDArray[np.generic]
Ask = Callable[[Scene, Random, Split], tuple[str, str]]
BLURRY_SHARE = 0.03
_LAYOUTS = {Layout.SINGLE: 42, Layout.PAIR: 22, Layout.COUNT: 10, Layout.THREE: 10, Layout.LANDSCAPE: 16}
_LARGE_LAYOUTS = {Layout.SINGLE: 40, Layout.PAIR: 10, Layout.LANDSCAPE: 50}
_VIEW_LAYOUTS = {Layout.SINGLE: 34, Layout.PAIR: 26, Layout.COUNT: 14, Layout.THREE: 20, Layout.LANDSCAPE: 6}
_LARGE_TOKENS = 1500
# Wordings of each picture: prompts, questions, instructions.
_DETAILS = (Detail.SHORT, Detail.FULL, Detail.FULL, Detail.LONG)
_QUESTIONS = (describe, describe, ask, ask, ask, ask)
_INSTRUCTIONS = 2
_EDITS = {
    EditKind.RECOLOR: 8, EditKind.ADD: 4, EditKind.REMOVE: 6, EditKind.MOVE: 4, EditKind.BACKDROP: 5,
    EditKind.POSE: 7, EditKind.REPLACE: 6,
}  # fmt: skip


class Part(Enum):
    """What a chunk holds."""

    SCENES = "scenes"  # pictures to draw, where a bucket has no views also questions about them
    VIEWS = "views"  # pictures as the ViT sees them, and questions: understanding needs many, but no pixels
    EDITS = "edits"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One worker's task; `bucket` is None for texts alone."""

    part: Part
    number: int
    bucket: Bucket | None = None

    @property
    def name(self) -> str:
        """File name without its ending."""
        return f"{self.part.value}-{self.bucket.name if self.bucket else 'all'}-{self.number:04d}"


def make_chunk(chunk: Chunk, folder: Path, out: Path) -> Path:
    """Render and write one chunk as `.npz`; `folder` holds configuration and tokenizer. Takes seconds of CPU time."""
    rng = Random(f"bagel toy corpus {chunk.name}")
    writer, config = Writer(folder), load_model_config(folder)
    match chunk.part:
        case Part.SCENES:
            arrays = _scenes(rng, _bucket(chunk), writer, config)
        case Part.VIEWS:
            arrays = _views(rng, _bucket(chunk), writer, config)
        case Part.EDITS:
            arrays = _edits(rng, _bucket(chunk), writer, config)
        case Part.TEXTS:
            arrays = _texts(rng, writer)
    path = out / f"{chunk.name}.npz"
    unfinished = path.with_suffix(".partial")
    members: dict[str, Any] = {**arrays}  # numpy's stubs take any keyword for `allow_pickle`
    with unfinished.open("wb") as file:
        np.savez(file, **members)
    unfinished.rename(path)
    return path


def patches_of(image: Image.Image, config: ModelConfig) -> NDArray[np.uint8]:
    """What the ViT sees of a picture: [m, P*P*3] bytes after its resize, in the order of `bagel.model.vit.patchify`."""
    pixels = np.asarray(resize(image, config.vit_resize))
    p = config.vit.patch_size
    rows, columns = pixels.shape[0] // p, pixels.shape[1] // p
    return pixels.reshape(rows, p, columns, p, 3).transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)


def _bucket(chunk: Chunk) -> Bucket:
    assert chunk.bucket is not None
    return chunk.bucket


def _scenes(rng: Random, bucket: Bucket, writer: Writer, config: ModelConfig) -> dict[str, Array]:
    layouts = _LARGE_LAYOUTS if bucket.tokens > _LARGE_TOKENS else _LAYOUTS
    scenes = [_scene(rng, layouts, DRAWING) for _ in range(CHUNK)]
    images = [render(scene, bucket.width, bucket.height) for scene in scenes]
    drawing: dict[str, Array] = {
        "pixels": np.stack([np.asarray(image) for image in images]),
        "prompt": np.array([_prompts(rng, scene, writer) for scene in scenes]),
        "think": np.array([[writer.drawn(partial(_thinking, rng, scene), THINK_SLOTS)] for scene in scenes]),
    }
    return drawing if bucket.views else drawing | _understanding(rng, scenes, images, writer, config)


def _views(rng: Random, bucket: Bucket, writer: Writer, config: ModelConfig) -> dict[str, Array]:
    scenes = [_scene(rng, _VIEW_LAYOUTS, EVEN) for _ in range(CHUNK)]
    images = [render(scene, bucket.width, bucket.height) for scene in scenes]
    return _understanding(rng, scenes, images, writer, config)


def _understanding(
    rng: Random, scenes: Sequence[Scene], images: Sequence[Image.Image], writer: Writer, config: ModelConfig
) -> dict[str, Array]:
    """Patches, and questions with their answers. These never call a picture blurry."""
    clear = [replace(scene, blurry=False) for scene in scenes]
    answers = [[partial(_asked, rng, scene, ask_for) for ask_for in _QUESTIONS] for scene in clear]
    return {
        "patches": np.stack([patches_of(image, config) for image in images]),
        "answer": np.array([[writer.drawn(make, ANSWER_SLOTS) for make in own] for own in answers]),
        "answer_think": np.array(
            [[writer.drawn(partial(_thoughtful, rng.choice(own)), THINK_SLOTS)] for own in answers]
        ),
    }


def _scene(rng: Random, layouts: Mapping[Layout, int], mix: Mix) -> Scene:
    layout = rng.choices(tuple(layouts), tuple(layouts.values()))[0]
    scene = sample_scene(rng, layout, Pool.TRAIN, mix)
    if layout is Layout.LANDSCAPE and rng.random() < 0.3:  # the cityscape never stands behind things
        scene = replace(scene, backdrop=replace(scene.backdrop, place=Place.FUTURISTIC_CITY))
    return replace(scene, blurry=True) if rng.random() < BLURRY_SHARE else scene


def _prompts(rng: Random, scene: Scene, writer: Writer) -> list[Slots]:
    def make(detail: Detail) -> list[Piece]:
        return [(Block.PROMPT, caption(scene, rng, Split.TRAIN, detail))]

    return [writer.drawn(partial(make, detail), PROMPT_SLOTS) for detail in _DETAILS]


def _thinking(rng: Random, scene: Scene) -> list[Piece]:
    prompt = caption(scene, rng, Split.TRAIN, rng.choice(_DETAILS))
    return [(Block.SYSTEM, SYSTEM_PROMPT_IMAGE), (Block.PROMPT, prompt), (Block.OUTPUT, image_thought(scene))]


def _asked(rng: Random, scene: Scene, ask_for: Ask) -> list[Piece]:
    question, answer = ask_for(scene, rng, Split.TRAIN)
    return [(Block.PROMPT, question), (Block.OUTPUT, answer)]


def _thoughtful(make: Callable[[], list[Piece]]) -> list[Piece]:
    (_, question), (_, answer) = make()
    system = (Block.SYSTEM, SYSTEM_PROMPT_TEXT)
    return [system, (Block.PROMPT, question), (Block.OUTPUT, answer_with_thought(question, answer))]


def _edits(rng: Random, bucket: Bucket, writer: Writer, config: ModelConfig) -> dict[str, Array]:
    kinds = rng.choices(tuple(_EDITS), tuple(_EDITS.values()), k=CHUNK)
    edits = [sample_edit(rng, kind, Pool.TRAIN, DRAWING) for kind in kinds]
    before = [render(edit.before, bucket.width, bucket.height) for edit in edits]
    after = [render(edit.after, bucket.width, bucket.height) for edit in edits]
    words = [partial(_instructed, rng, edit) for edit in edits]
    thoughts = [partial(_thinking_edit, rng, edit) for edit in edits]
    return {
        "pixels": np.stack([np.asarray(image) for image in after]),
        "source": np.stack([np.asarray(image) for image in before]),
        "patches": np.stack([patches_of(image, config) for image in before]),
        "prompt": np.array([[writer.drawn(make, EDIT_SLOTS) for _ in range(_INSTRUCTIONS)] for make in words]),
        "think": np.array([[writer.drawn(make, THINK_SLOTS)] for make in thoughts]),
    }


def _instructed(rng: Random, edit: Edit) -> list[Piece]:
    return [(Block.PROMPT, instruction(edit, rng, Split.TRAIN))]


def _thinking_edit(rng: Random, edit: Edit) -> list[Piece]:
    system = (Block.SYSTEM, SYSTEM_PROMPT_IMAGE)
    return [system, *_instructed(rng, edit), (Block.OUTPUT, edit_thought(edit))]


def _texts(rng: Random, writer: Writer) -> dict[str, Array]:
    def make() -> list[Piece]:
        question, answer = plain(rng, Split.TRAIN)
        return [(Block.PROMPT, question), (Block.OUTPUT, answer)]

    return {
        "answer": np.array([[writer.drawn(make, TEXT_SLOTS)] for _ in range(CHUNK)]),
        "answer_think": np.array([[writer.drawn(partial(_thoughtful, make), THINK_SLOTS)] for _ in range(CHUNK)]),
    }
