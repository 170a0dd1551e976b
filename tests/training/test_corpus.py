"""What workers write of each part, and how texts become slots."""

from pathlib import Path

import numpy as np
import pytest

from training import corpus
from training.blocks import Block
from training.buckets import BASE, BUCKETS
from training.corpus import Chunk, Part, make_chunk
from training.skeleton import make_skeleton
from training.writer import ANSWER_SLOTS, EDIT_SLOTS, PROMPT_SLOTS, THINK_SLOTS, Writer

TOY = Path(__file__).parent.parent.parent / "models" / "toy"
DRAWN = {"pixels", "prompt", "think"}
ASKED = {"patches", "answer", "answer_think"}


@pytest.mark.parametrize(
    ("chunk", "keys"),
    [
        (Chunk(Part.SCENES, 0, BASE), DRAWN),
        (Chunk(Part.VIEWS, 0, BASE), ASKED),
        (Chunk(Part.SCENES, 0, BUCKETS[1]), DRAWN | ASKED),
        (Chunk(Part.EDITS, 0, BASE), DRAWN | {"source", "patches"}),
        (Chunk(Part.TEXTS, 0), ASKED - {"patches"}),
    ],
)
def test_a_chunk_keeps_what_its_part_is_for(
    chunk: Chunk, keys: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "CHUNK", 3)
    with np.load(make_chunk(chunk, TOY, tmp_path)) as file:
        arrays = dict(file)
    assert set(arrays) == keys
    assert {array.shape[0] for array in arrays.values()} == {3}
    lengths = {"think": THINK_SLOTS, "answer_think": THINK_SLOTS, "prompt": PROMPT_SLOTS, "answer": ANSWER_SLOTS}
    if chunk.part is Part.EDITS:
        lengths["prompt"] = EDIT_SLOTS
    if chunk.part is not Part.TEXTS:
        assert {key: arrays[key].shape[-1] for key in keys & set(lengths)} == {
            key: lengths[key] for key in keys & set(lengths)
        }


def test_the_same_chunk_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "CHUNK", 2)
    first, second = tmp_path / "a", tmp_path / "b"
    chunk = Chunk(Part.EDITS, 7, BUCKETS[1])
    for folder in (first, second):
        folder.mkdir()
        make_chunk(chunk, TOY, folder)
    assert (first / f"{chunk.name}.npz").read_bytes() == (second / f"{chunk.name}.npz").read_bytes()


def test_texts_that_do_not_fit_are_drawn_again_or_refused() -> None:
    writer = Writer(TOY)
    short, long = [(Block.PROMPT, "a cat")], [(Block.PROMPT, "a cat " * 20), (Block.OUTPUT, "a dog")]
    draws = iter((long, long, short))
    assert (writer.drawn(lambda: next(draws), 8) == writer.slots(short, 8)).all()
    with pytest.raises(ValueError, match="more than 8 tokens"):
        writer.slots(long, 8)
    with pytest.raises(ValueError, match="in a row"):
        writer.drawn(lambda: long, 8)
    ids, blocks = writer.slots([*short, (Block.OUTPUT, "a dog")], 16)
    order = [block for block in blocks.tolist() if block != Block.PAD]
    assert order == sorted(order)
    assert set(order) == {Block.PROMPT, Block.OUTPUT}
    assert ids.shape == (16,)


def test_a_run_that_goes_on_from_a_checkpoint_keeps_its_tokenizer(tmp_path: Path) -> None:
    make_skeleton(TOY, tmp_path / "own", learn=False)
    for name in ("tokenizer.json", "config.json", "llm_config.json", "vit_config.json", "tokenizer_config.json"):
        assert (tmp_path / "own" / name).read_bytes() == (TOY / name).read_bytes()
