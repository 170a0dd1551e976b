"""Training packs samples side by side; every one of them must compute what the official model computes alone."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bagel.config import load_model_config
from bagel.model.weights import SafetensorsSource
from bagel.tokens import read_special_tokens
from training.blocks import Block, Kept, RowSlots, geometry
from training.model import Group, ToyModel

GOLDEN = Path(__file__).parent.parent / "golden"
TEXT = 24


@pytest.fixture(scope="module")
def model() -> ToyModel:
    folder = GOLDEN / "checkpoint"
    config = load_model_config(folder)
    made = ToyModel(config, read_special_tokens(folder))
    with torch.no_grad():
        SafetensorsSource(folder, config).fill(made.slots(), lambda done, total: None)
    return made.eval()


def _case(name: str) -> tuple[dict[str, Tensor], dict[str, object]]:
    tensors = load_file(GOLDEN / "cases" / f"{name}.safetensors")
    return tensors, json.loads((GOLDEN / "cases" / f"{name}.json").read_text())


def _text(pieces: list[tuple[Block, list[int]]], samples: int, slots: int) -> tuple[Tensor, Tensor]:
    ids = [i for _, own in pieces for i in own]
    blocks = [int(block) for block, own in pieces for _ in own]
    padding = slots - len(ids)
    return (
        torch.tensor(ids + [0] * padding).repeat(samples, 1),
        torch.tensor(blocks + [int(Block.PAD)] * padding).repeat(samples, 1),
    )


def _flags(*values: bool) -> Tensor:
    return torch.tensor(values)


@torch.no_grad()
def test_an_edit_and_its_dropouts_give_the_three_official_velocities(model: ToyModel) -> None:
    tensors, case = _case("img2img_text_channel")
    ids, blocks = _text([(Block.PROMPT, case["context_updates"][2]["token_ids"])], 3, TEXT)  # type: ignore[index]
    tokens, patches = tensors["vae0.patchified"], tensors["vit0.patches"]
    slots = RowSlots(noise=40, source=40, patches=28, text=TEXT)
    kept = Kept(_flags(True, False, True), _flags(True, True, True), _flags(True, True, False))
    group = Group(
        slots=slots, geometry=geometry(slots, ids, blocks, kept), text_ids=ids, grid=(5, 8),
        noisy=tensors["steps.x"][0].repeat(3, 1, 1), times=tensors["steps.t"][:1].repeat(3, 1),
        source=tokens.repeat(3, 1, 1), patches=patches.repeat(3, 1, 1), patch_grid=(4, 7),
    )  # fmt: skip
    got = model.velocities([group])[0]
    expected = torch.stack(
        [tensors["steps.v_cond"][0], tensors["cfg_steps.v_cfg_text"][0], tensors["cfg_steps.v_cfg_img"][0]]
    )
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_noisy_copies_of_one_context_are_as_alone(model: ToyModel) -> None:
    tensors, case = _case("img2img_text_channel")
    ids, blocks = _text([(Block.PROMPT, case["context_updates"][2]["token_ids"])], 1, TEXT)  # type: ignore[index]
    states, times = tensors["steps.x"], tensors["steps.t"]
    assert not torch.equal(states[0], states[1])
    yes = _flags(True)
    slots = RowSlots(noise=40, source=40, patches=28, text=TEXT, copies=2)
    group = Group(
        slots=slots, geometry=geometry(slots, ids, blocks, Kept(yes, yes, yes)), text_ids=ids, grid=(5, 8),
        noisy=torch.cat((states[0], states[1]))[None], times=times[None, :2],
        source=tensors["vae0.patchified"][None], patches=tensors["vit0.patches"][None], patch_grid=(4, 7),
    )  # fmt: skip
    got = model.velocities([group])[0].view(2, 40, -1)
    torch.testing.assert_close(got, tensors["steps.v_cond"][:2], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_groups_of_different_layouts_do_not_see_each_other(model: ToyModel) -> None:
    tensors, case = _case("text2img_global")
    prompt = next(u["token_ids"] for u in case["context_updates"] if u["kind"] == "text")  # type: ignore[attr-defined]
    ids, blocks = _text([(Block.PROMPT, prompt)], 2, len(prompt) + 3)
    height, width = case["image_hw"]  # type: ignore[misc]
    grid = (height // 16, width // 16)
    slots = RowSlots(noise=grid[0] * grid[1], source=0, patches=0, text=ids.shape[1])
    kept = Kept(_flags(True, False), _flags(True, True), _flags(True, True))
    x, times = tensors["steps.x"][0].repeat(2, 1, 1), tensors["steps.t"][:1].repeat(2, 1)
    picture = Group(
        slots=slots, geometry=geometry(slots, ids, blocks, kept), text_ids=ids, grid=grid, noisy=x,
        times=times,
    )  # fmt: skip
    other_ids, other_blocks = _text([(Block.PROMPT, [5, 6, 7]), (Block.OUTPUT, [8, 9])], 3, 9)
    words = RowSlots(noise=0, source=0, patches=0, text=9)
    everything = Kept(*(_flags(True, True, True),) * 3)
    other = Group(slots=words, geometry=geometry(words, other_ids, other_blocks, everything), text_ids=other_ids)
    got = model.velocities([other, picture])[0]
    expected = torch.stack([tensors["steps.v_cond"][0], tensors["cfg_steps.v_cfg_text"][0]])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_thought_has_the_official_logits_and_is_trained_to_predict_its_next_token(model: ToyModel) -> None:
    tensors, case = _case("think_text2img")
    system, prompt = [u["token_ids"] for u in case["context_updates"] if u["context"] == "gen"][:2]  # type: ignore[attr-defined]
    fed = tensors["think.input_ids"].flatten().tolist()
    pieces = [(Block.SYSTEM, system), (Block.PROMPT, prompt), (Block.OUTPUT, fed)]
    ids, blocks = _text(pieces, 1, sum(len(own) for _, own in pieces) + 2)
    slots = RowSlots(noise=0, source=0, patches=0, text=ids.shape[1])
    shapes = geometry(slots, ids, blocks, Kept(*(_flags(True),) * 3))
    ((_, rows),) = model.rows([Group(slots=slots, geometry=shapes, text_ids=ids)])
    first = len(system) + len(prompt)
    logits = model.thinker.logits(rows[0])[first : first + len(fed)]
    torch.testing.assert_close(logits, tensors["think.logits"], rtol=1e-4, atol=1e-4)
    assert shapes.targets[0, first : first + len(fed)].tolist() == [*fed[1:], -100]


@torch.no_grad()
def test_pictures_with_different_patch_grids_do_not_see_each_other(model: ToyModel) -> None:
    ids, blocks = _text([(Block.PROMPT, [5, 6, 7]), (Block.OUTPUT, [8, 9])], 2, 8)
    everything = Kept(*(_flags(True, True),) * 3)
    noise = torch.Generator().manual_seed(1)
    groups = []
    for grid in ((4, 7), (7, 4), (3, 5)):
        slots = RowSlots(noise=0, source=0, patches=grid[0] * grid[1], text=8)
        width = model.thinker.vit.patch_embedding.in_features
        groups.append(
            Group(
                slots=slots, geometry=geometry(slots, ids, blocks, everything), text_ids=ids,
                patches=torch.rand((2, slots.patches, width), generator=noise) * 2 - 1, patch_grid=grid,
            )
        )  # fmt: skip
    together = model.rows(groups)
    for group, (_, rows) in zip(groups, together, strict=True):
        ((_, alone),) = model.rows([group])
        torch.testing.assert_close(rows, alone, rtol=1e-4, atol=1e-4)
