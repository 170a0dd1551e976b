"""The corpus: pictures of the world with their texts, in arrays. Rendered by worker processes, chunk by chunk.

A chunk depends on its bucket and number alone, so that any number of workers makes the same corpus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bagel.config import ModelConfig, load_model_config
from bagel.contexts import SYSTEM_PROMPT_IMAGE, SYSTEM_PROMPT_TEXT
from bagel.images import resize
from bagel.tokens import Tokenizer
from training.blocks import Block
from training.buckets import CHUNK, Bucket
from training.language.captions import Detail, caption
from training.language.descriptions import describe
from training.language.instructions import instruction
from training.language.plain import plain
from training.language.questions import ask
from training.language.split import Split
from training.language.thoughts import answer_with_thought, edit_thought, image_thought
from training.world.edits import EditKind
from training.world.render import render
from training.world.sample import Layout, Pool, sample_edit, sample_scene
from training.world.scene import Place, Scene

Array = NDArray[np.generic]
PROMPT_SLOTS, ANSWER_SLOTS, TEXT_SLOTS, THINK_SLOTS = 44, 56, 48, 144
BLURRY_SHARE = 0.03
MAX_DRAWS = 50
_LAYOUTS = {Layout.SINGLE: 42, Layout.PAIR: 22, Layout.COUNT: 10, Layout.THREE: 10, Layout.LANDSCAPE: 16}
_LARGE_LAYOUTS = {Layout.SINGLE: 40, Layout.PAIR: 10, Layout.LANDSCAPE: 50}
_LARGE_TOKENS = 1500
_DETAILS = (Detail.SHORT, Detail.FULL, Detail.FULL, Detail.LONG)
_EDITS = {
    EditKind.RECOLOR: 6, EditKind.ADD: 4, EditKind.REMOVE: 3, EditKind.MOVE: 4, EditKind.BACKDROP: 5,
    EditKind.POSE: 5, EditKind.REPLACE: 4,
}  # fmt: skip


class Part(Enum):
    """What a chunk holds."""

    SCENES = "scenes"
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


Piece = tuple[Block, str]


class Writer:
    """Texts -> slots: ids and block numbers of fixed length."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer(folder)

    def slots(self, pieces: Sequence[Piece], length: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Raises ValueError when the pieces need more than `length` slots."""
        ids, blocks = [], []
        for block, text in pieces:
            own = self._tokenizer.encode_block(text)
            ids += own
            blocks += [int(block)] * len(own)
        if len(ids) > length:
            raise ValueError(f"{len(ids)} tokens do not fit into {length} slots: {pieces}")
        padding = length - len(ids)
        return np.array(ids + [0] * padding, np.int16), np.array(blocks + [int(Block.PAD)] * padding, np.int16)

    def fitting(self, make: Callable[[], Sequence[Piece]], length: int) -> Sequence[Piece]:
        """The first of what `make` draws that fits into `length` slots: the grammar's rare long sentences do not."""
        for _ in range(MAX_DRAWS):
            pieces = make()
            if sum(len(self._tokenizer.encode_block(text)) for _, text in pieces) <= length:
                return pieces
        raise ValueError(f"{MAX_DRAWS} texts in a row need more than {length} tokens")

    def stack(self, samples: Sequence[Sequence[Sequence[Piece]]], length: int) -> Array:
        """[n][variants] of pieces -> [n, variants, 2, length] int16: ids, then block numbers."""
        return np.stack([np.stack([np.stack(self.slots(p, length)) for p in variants]) for variants in samples])


def make_chunk(chunk: Chunk, folder: Path, out: Path) -> Path:
    """Render and write one chunk as `.npz`; `folder` holds configuration and tokenizer. Takes seconds of CPU time."""
    rng = Random(f"bagel toy corpus {chunk.name}")
    writer, config = Writer(folder), load_model_config(folder)
    match chunk.part:
        case Part.SCENES:
            arrays = _scenes(rng, _bucket(chunk), writer, config)
        case Part.EDITS:
            arrays = _edits(rng, _bucket(chunk), writer, config)
        case Part.TEXTS:
            arrays = _texts(rng, writer)
    path = out / f"{chunk.name}.npz"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.rename(path)
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
    scenes = [_scene(rng, bucket) for _ in range(CHUNK)]
    images = [render(scene, bucket.width, bucket.height) for scene in scenes]
    clear = [replace(scene, blurry=False) for scene in scenes]
    return {
        "pixels": np.stack([np.asarray(image) for image in images]),
        "patches": np.stack([patches_of(image, config) for image in images]),
        "prompt": writer.stack([_prompts(rng, scene, writer) for scene in scenes], PROMPT_SLOTS),
        "think": writer.stack(
            [[writer.fitting(partial(_thinking, rng, scene), THINK_SLOTS)] for scene in clear], THINK_SLOTS
        ),
        "answer": writer.stack([_answers(rng, scene, writer) for scene in clear], ANSWER_SLOTS),
        "answer_think": writer.stack([[_thoughtful(_answers(rng, scene, writer)[0])] for scene in clear], THINK_SLOTS),
    }


def _scene(rng: Random, bucket: Bucket) -> Scene:
    weights = _LARGE_LAYOUTS if bucket.tokens > _LARGE_TOKENS else _LAYOUTS
    layout = rng.choices(tuple(weights), tuple(weights.values()))[0]
    scene = sample_scene(rng, layout, Pool.TRAIN)
    if layout is Layout.LANDSCAPE and rng.random() < 0.3:  # the cityscape never stands behind things
        scene = replace(scene, backdrop=replace(scene.backdrop, place=Place.FUTURISTIC_CITY))
    return replace(scene, blurry=True) if rng.random() < BLURRY_SHARE else scene


def _prompts(rng: Random, scene: Scene, writer: Writer) -> list[Sequence[Piece]]:
    def make(detail: Detail) -> list[Piece]:
        return [(Block.PROMPT, caption(scene, rng, Split.TRAIN, detail))]

    return [writer.fitting(partial(make, detail), PROMPT_SLOTS) for detail in _DETAILS]


def _thinking(rng: Random, scene: Scene) -> list[Piece]:
    prompt = caption(scene, rng, Split.TRAIN, rng.choice(_DETAILS))
    return [(Block.SYSTEM, SYSTEM_PROMPT_IMAGE), (Block.PROMPT, prompt), (Block.OUTPUT, image_thought(scene))]


def _answers(rng: Random, scene: Scene, writer: Writer) -> list[Sequence[Piece]]:
    def make(ask_for: Callable[[Scene, Random, Split], tuple[str, str]]) -> list[Piece]:
        question, answer = ask_for(scene, rng, Split.TRAIN)
        return [(Block.PROMPT, question), (Block.OUTPUT, answer)]

    pairs = [writer.fitting(partial(make, kind), ANSWER_SLOTS) for kind in (describe, ask, ask, ask)]
    rng.shuffle(pairs)
    return pairs


def _thoughtful(pieces: Sequence[Piece]) -> list[Piece]:
    (_, question), (_, answer) = pieces
    system = (Block.SYSTEM, SYSTEM_PROMPT_TEXT)
    return [system, (Block.PROMPT, question), (Block.OUTPUT, answer_with_thought(question, answer))]


def _edits(rng: Random, bucket: Bucket, writer: Writer, config: ModelConfig) -> dict[str, Array]:
    kinds = rng.choices(tuple(_EDITS), tuple(_EDITS.values()), k=CHUNK)
    edits = [sample_edit(rng, kind, Pool.TRAIN) for kind in kinds]
    before = [render(edit.before, bucket.width, bucket.height) for edit in edits]
    after = [render(edit.after, bucket.width, bucket.height) for edit in edits]
    words = [[instruction(edit, rng, Split.TRAIN) for _ in range(3)] for edit in edits]
    system = (Block.SYSTEM, SYSTEM_PROMPT_IMAGE)
    thinking = [
        [[system, (Block.PROMPT, own[2]), (Block.OUTPUT, edit_thought(edit))]]
        for edit, own in zip(edits, words, strict=True)
    ]
    return {
        "pixels": np.stack([np.asarray(image) for image in after]),
        "source": np.stack([np.asarray(image) for image in before]),
        "patches": np.stack([patches_of(image, config) for image in before]),
        "prompt": writer.stack([[[(Block.PROMPT, text)] for text in own[:2]] for own in words], PROMPT_SLOTS),
        "think": writer.stack(thinking, THINK_SLOTS),
    }


def _texts(rng: Random, writer: Writer) -> dict[str, Array]:
    def make() -> list[Piece]:
        question, answer = plain(rng, Split.TRAIN)
        return [(Block.PROMPT, question), (Block.OUTPUT, answer)]

    pieces = [writer.fitting(make, TEXT_SLOTS) for _ in range(CHUNK)]
    return {
        "answer": writer.stack([[p] for p in pieces], TEXT_SLOTS),
        "answer_think": writer.stack([[_thoughtful(p)] for p in pieces], THINK_SLOTS),
    }
