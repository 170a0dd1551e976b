"""Samples as the model sees them: rows, blocks, what sees what, and at which rotary position.

A batch of like samples is [gen rows | und rows] per sample, gen = [noisy latents | clean latents of a context
picture], und = [markers | ViT rows | text slots]. The order of rows is free: masks and positions carry everything.
Source: golden README, sections 2.3 and 3.
"""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

PAD_ORDER = 9
IGNORED = -100
MARKERS = 2


class Block(IntEnum):
    """Blocks in the order in which a context grows; a row sees all earlier blocks."""

    SYSTEM = 0
    VAE = 1
    VIT = 2
    PROMPT = 3
    OUTPUT = 4  # the answer, or the thought before a picture
    NOISE = 5
    PAD = PAD_ORDER


TEXT_BLOCKS = (Block.SYSTEM, Block.PROMPT, Block.OUTPUT)
PICTURE_BLOCKS = (Block.NOISE, Block.VAE, Block.VIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSlots:
    """Rows of one sample of a group, by number: latents, ViT patches (0: no picture), text slots."""

    noise: int
    source: int
    patches: int
    text: int

    @property
    def gen(self) -> int:
        """Rows that take the gen expert."""
        return self.noise + self.source

    @property
    def und(self) -> int:
        """Rows that take the und expert: markers, patches, text."""
        return sum(MARKERS for n in (self.noise, self.source, self.patches) if n) + self.patches + self.text

    def blocks(self) -> Tensor:
        """[gen + und - text] block numbers of every row but the text's, in row order."""
        order = [(Block.NOISE, self.noise), (Block.VAE, self.source)]
        order += [(Block.NOISE, MARKERS if self.noise else 0), (Block.VAE, MARKERS if self.source else 0)]
        order += [(Block.VIT, MARKERS + self.patches if self.patches else 0)]
        return torch.cat([torch.full((count,), int(block)) for block, count in order])


@dataclass(frozen=True, slots=True)
class Kept:
    """Which parts of each sample of a group the model is shown, [B] bool each: the dropouts behind guidance."""

    prompt: Tensor
    output: Tensor
    picture: Tensor


@dataclass(frozen=True, slots=True)
class Geometry:
    """Of a group of B samples with T rows, `fixed` of them not text: what attention and losses need.

    All rows of a picture block see the same keys, so `hidden` [B, T, 3] says for NOISE, VAE and VIT queries which keys
    they do not see; `queries` [fixed, 3] is the one-hot kind of each such row. Text rows have their own additive
    `text_mask` [B, 1, text, T].
    """

    positions: Tensor  # [B, T]
    hidden: Tensor
    queries: Tensor
    text_mask: Tensor
    targets: Tensor  # [B, text]


def geometry(slots: RowSlots, text_ids: Tensor, text_blocks: Tensor, kept: Kept, dtype: torch.dtype) -> Geometry:
    """Positions, mask and targets of a group. `text_ids` and `text_blocks` are [B, text] int64, padded with PAD."""
    text = _after_dropout(text_blocks, kept)
    fixed = slots.blocks().to(text.device).expand(text.shape[0], -1)
    picture = (fixed == Block.VAE) | (fixed == Block.VIT)
    fixed = torch.where(picture & ~kept.picture[:, None], PAD_ORDER, fixed)
    blocks = torch.cat((fixed, text), dim=1)
    starts = _starts(slots, text, kept)
    positions = torch.gather(starts, 1, blocks)
    order = _order_in_block(text_blocks)
    positions[:, fixed.shape[1] :] += order
    kinds = torch.tensor([int(block) for block in PICTURE_BLOCKS], device=text.device)
    return Geometry(
        positions=positions,
        hidden=(blocks[:, :, None] > kinds).to(dtype),
        queries=(slots.blocks().to(text.device)[:, None] == kinds).to(dtype),
        text_mask=_text_mask(blocks, fixed.shape[1], order, dtype),
        targets=_targets(text_ids, text),
    )


def _after_dropout(text_blocks: Tensor, kept: Kept) -> Tensor:
    text = torch.where((text_blocks == Block.PROMPT) & ~kept.prompt[:, None], PAD_ORDER, text_blocks)
    return torch.where((text == Block.OUTPUT) & ~kept.output[:, None], PAD_ORDER, text)


def _starts(slots: RowSlots, text: Tensor, kept: Kept) -> Tensor:
    """[B, 10] the rotary position at which each block starts; PAD rows lie at 0, where nobody looks."""
    n_system, n_prompt, n_output = ((text == block).sum(1) for block in TEXT_BLOCKS)
    shown = kept.picture.long()
    vit = n_system + shown * int(slots.source > 0)
    prompt = vit + shown * int(slots.patches > 0)
    output = prompt + n_prompt
    starts = torch.zeros(text.shape[0], PAD_ORDER + 1, dtype=torch.long, device=text.device)
    columns = {Block.VAE: n_system, Block.VIT: vit, Block.PROMPT: prompt, Block.OUTPUT: output}
    columns[Block.NOISE] = output + n_output
    for block, column in columns.items():
        starts[:, int(block)] = column
    return starts


def _order_in_block(text_blocks: Tensor) -> Tensor:
    """[B, text] index of a text row in its block; blocks lie one after the other in the slots."""
    index = torch.arange(text_blocks.shape[1], device=text_blocks.device).expand_as(text_blocks)
    system = (text_blocks == Block.SYSTEM).sum(1, keepdim=True)
    prompt = (text_blocks == Block.PROMPT).sum(1, keepdim=True)
    index = index - torch.where(text_blocks >= Block.PROMPT, system, 0)
    return index - torch.where(text_blocks == Block.OUTPUT, prompt, 0)


def _text_mask(blocks: Tensor, fixed: int, order: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a text row sees a key, -inf where not: earlier blocks, and its own block up to itself."""
    text = blocks[:, fixed:, None]
    rank = torch.cat((torch.zeros_like(blocks[:, :fixed]), order), dim=1)
    own = (blocks[:, None, :] == text) & (rank[:, None, :] <= order[:, :, None])
    seen = (blocks[:, None, :] < text) | own
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
    return mask[:, None]


def _targets(ids: Tensor, text: Tensor) -> Tensor:
    """Each row of an output block predicts the next row's id."""
    targets = torch.full_like(ids, IGNORED)
    both = (text[:, :-1] == Block.OUTPUT) & (text[:, 1:] == Block.OUTPUT)
    targets[:, :-1] = torch.where(both, ids[:, 1:], IGNORED)
    return targets
