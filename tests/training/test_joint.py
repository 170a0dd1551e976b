"""A run ends where its settings say, goes on where it stopped, and becomes a checkpoint that can be served."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bagel.config import load_model_config
from bagel.model.names import AE_FILE, EMA_FILE
from bagel.tokens import read_special_tokens
from training.batches import Plan
from training.blocks import Block, Kept, RowSlots, geometry
from training.buckets import BASE
from training.export import checkpoint_tensors, merge_shards, write_shards
from training.joint import JointSettings, JointTrainer
from training.model import Group, ToyModel
from training.vae import schedule

TOY = Path(__file__).parent.parent.parent / "models" / "toy"
CPU = torch.device("cpu")


class OneSentence:
    """Steps of one short text."""

    def plan(self, step: int, seed: int) -> Plan:
        del step, seed
        return Plan(BASE, think=False, views=True)

    def draw(self, plan: Plan) -> list[Group]:
        ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])
        blocks = torch.tensor([[int(Block.PROMPT)] * 4 + [int(Block.OUTPUT)] * 4])
        slots, yes = RowSlots(noise=0, source=0, patches=0, text=8), torch.ones(1, dtype=torch.bool)
        return [Group(slots=slots, geometry=geometry(slots, ids, blocks, Kept(yes, yes, yes)), text_ids=ids)]


def trainer_of(settings: JointSettings) -> JointTrainer:
    torch.manual_seed(0)
    return JointTrainer(ToyModel(load_model_config(TOY), read_special_tokens(TOY)), settings, CPU)


def ignored(step: int, values: dict[str, float]) -> None:
    del step, values


def test_a_run_ends_with_its_last_step_or_its_last_second_and_goes_on_in_another_call(tmp_path: Path) -> None:
    batches = OneSentence()
    first = trainer_of(JointSettings(steps=3, compile=False))
    assert not first.run(batches, until_s=-math.inf, log=ignored)  # type: ignore[arg-type]
    assert first.run(batches, until_s=math.inf, log=ignored)  # type: ignore[arg-type]
    assert first.step == 3
    assert first.spent_s > 0
    first.save(tmp_path / "state.safetensors")
    second = trainer_of(JointSettings(steps=10**6, budget_s=first.spent_s + 0.01, compile=False))
    second.load(tmp_path / "state.safetensors")
    assert (second.step, second.spent_s) == (3, pytest.approx(first.spent_s))
    assert torch.equal(second.flat.master, first.flat.master)
    assert second.run(batches, until_s=math.inf, log=ignored)  # type: ignore[arg-type]
    assert 3 < second.step < 10**6


def test_the_rate_rises_over_the_warm_up_and_falls_with_progress() -> None:
    assert [schedule(step, -0.1, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [schedule(9, progress, 4) for progress in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.51, 0.02])


def test_shards_and_tokenizer_become_a_checkpoint(tmp_path: Path) -> None:
    shards, folder = tmp_path / "out", tmp_path / "toy"
    shutil.copytree(TOY, folder)
    model = ToyModel(load_model_config(TOY), read_special_tokens(TOY))
    paths = write_shards(model, (0.75, -0.125), shards)
    assert len(paths) == 2
    shutil.copyfile(TOY / "tokenizer.json", shards / "tokenizer.json")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    merge_shards(shards, folder)
    config = load_model_config(folder)
    assert (config.vae.scale_factor, config.vae.shift_factor) == (0.75, -0.125)
    written = load_file(folder / EMA_FILE) | load_file(folder / AE_FILE)
    expected = checkpoint_tensors(model)
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[name], expected[name]) for name in expected)
    assert (folder / "tokenizer.json").read_bytes() == (TOY / "tokenizer.json").read_bytes()
    assert f"  {EMA_FILE}\n" in (folder / "SHA256SUMS").read_text(encoding="utf-8")
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["default_image_size"] == 256
