"""Samples as the model sees them: rows, blocks, what sees what, and at which rotary position.

A batch of like samples is [gen rows | und rows] per sample, gen = [noisy latents | clean latents of a context
picture], und = [markers | ViT rows | text slots]. The order of rows is free: codes and positions carry everything.
One context may serve several noisy copies of its picture, each at its own time: they do not see each other.
Source: golden README, sections 2.3 and 3.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import torch
from torch import Tensor

PAD_ORDER = 9
CODES_A_BLOCK = 1024  # more than a block of text has rows
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSlots:
    """Rows of one sample of a group, by number: latents of a noisy copy, clean latents, ViT patches, text slots."""

    noise: int
    source: int
    patches: int
    text: int
    copies: int = 1  # of the noise

    @property
    def gen(self) -> int:
        """Rows that take the gen expert."""
        return self.noise * self.copies + self.source

    @property
    def und(self) -> int:
        """Rows that take the und expert: markers, patches, text."""
        return self.pairs * MARKERS + self.patches + self.text

    @property
    def pairs(self) -> int:
        """Pairs of markers: one around every noisy copy, the clean latents and the patches."""
        return (self.copies if self.noise else 0) + sum(1 for n in (self.source, self.patches) if n)

    def fixed(self) -> Tensor:
        """[gen + und - text, 2] block number and copy of every row but the text's, in row order."""
        noise = [(Block.NOISE, copy) for copy in range(self.copies)] if self.noise else []
        runs = [(*own, self.noise) for own in noise] + [(Block.VAE, 0, self.source)]
        runs += [(*own, MARKERS) for own in noise] + [(Block.VAE, 0, MARKERS if self.source else 0)]
        runs += [(Block.VIT, 0, MARKERS + self.patches if self.patches else 0)]
        rows = [(int(block), copy) for block, copy, count in runs for _ in range(count)]
        return torch.tensor(rows, dtype=torch.long).view(-1, 2)


@dataclass(frozen=True, slots=True)
class Kept:
    """Which parts of each sample of a group the model is shown, [B] bool each: the dropouts behind guidance."""

    prompt: Tensor
    output: Tensor
    picture: Tensor


@dataclass(frozen=True, slots=True)
class Geometry:
    """Of a group of B samples with T rows: what attention and losses need.

    `codes` say who sees whom (`training.attention`): the block's number, then in text the place, in noise the copy.
    """

    positions: Tensor  # [B, T]
    codes: Tensor  # [B, T] int32
    targets: Tensor  # [B, text]


def geometry(slots: RowSlots, text_ids: Tensor, text_blocks: Tensor, kept: Kept) -> Geometry:
    """Positions, codes and targets of a group. `text_ids` and `text_blocks` are [B, text] int64, padded with PAD."""
    text = _after_dropout(text_blocks, kept)
    fixed, copy = _fixed(slots, text.device).expand(text.shape[0], -1, -1).unbind(-1)
    picture = (fixed == Block.VAE) | (fixed == Block.VIT)
    fixed = torch.where(picture & ~kept.picture[:, None], PAD_ORDER, fixed)
    order = _order_in_block(text_blocks)
    positions = torch.gather(_starts(slots, text, kept), 1, torch.cat((fixed, text), dim=1))
    positions[:, fixed.shape[1] :] += order
    codes = torch.cat((fixed * CODES_A_BLOCK + copy, text * CODES_A_BLOCK + order), dim=1)
    return Geometry(positions=positions, codes=codes.int(), targets=_targets(text_ids, text))


@cache
def _fixed(slots: RowSlots, device: torch.device) -> Tensor:
    return slots.fixed().to(device)


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


def _targets(ids: Tensor, text: Tensor) -> Tensor:
    """Each row of an output block predicts the next row's id."""
    targets = torch.full_like(ids, IGNORED)
    both = (text[:, :-1] == Block.OUTPUT) & (text[:, 1:] == Block.OUTPUT)
    targets[:, :-1] = torch.where(both, ids[:, 1:], IGNORED)
    return targets
