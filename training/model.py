"""The whole model for training: both stages' modules around one set of layers, with losses over groups of samples.

All arithmetic is `bagel.model`'s; here it only runs on many samples at once. Rows of a step lie as [all groups' gen
rows | all groups' und rows], so that products and attention run over everything together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bagel.config import ModelConfig
from bagel.model.embeddings import grid_position_ids, sincos_table
from bagel.model.stages import DitModel, Slot, ThinkerModel
from bagel.tokens import SpecialTokens
from training.attention import attend, samples_of
from training.blocks import IGNORED, MARKERS, Geometry, RowSlots

INIT_STD = 0.02
# Groups for pictures whose text slots hold nothing but a prompt have no answer to learn.
PROMPT_ONLY_SLOTS = 64
KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]  # cuDNN's builds a plan for every new count of pictures
_FROZEN = ("latents.pos_embed",)
Method = TypeVar("Method", bound=Callable[..., Tensor])


def eager(method: Method) -> Method:
    """`torch.compiler.disable` with a type: what loops over groups is not compiled into the layers."""
    disabled: Method = torch.compiler.disable(method)  # type: ignore[no-untyped-call]
    return disabled


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """B samples of one layout, on the device. Grids are (rows, columns); latent tokens [B, N, C], noisy ones and their
    velocities [B, copies * N, C], times [B, copies].
    """

    slots: RowSlots
    geometry: Geometry
    text_ids: Tensor  # [B, text]
    grid: tuple[int, int] = (0, 0)  # of the latents
    noisy: Tensor | None = None
    velocity: Tensor | None = None  # what is to be predicted; None when only looking
    times: Tensor | None = None
    source: Tensor | None = None
    patches: Tensor | None = None  # [B, m, P*P*3] in [-1, 1]
    patch_grid: tuple[int, int] = (0, 0)

    @property
    def samples(self) -> int:
        """Samples in the group."""
        return int(self.text_ids.shape[0])


class GroupAttention:
    """The layers' `KvContext`: every sample sees its own rows, by their codes."""

    def __init__(self, groups: Sequence[Group]) -> None:
        shapes = tuple((g.samples, g.slots.gen, g.slots.und) for g in groups)
        self._codes = _joined([g.geometry.codes for g in groups], groups)
        self._samples = samples_of(shapes, self._codes.device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [N, A, d], k and v [N, K, d] over the rows of all groups -> [N, A, d]."""
        del layer
        return attend(q, k, v, self._codes, self._samples)


class PictureAttention:
    """The ViT's attention inside pictures whose rows follow one another; `patches` are the rows of each picture."""

    def __init__(self, patches: Sequence[int]) -> None:
        runs = [(rows, len(list(run))) for rows, run in groupby(patches)]
        self._pictures = [pictures for _, pictures in runs]
        self._sizes = [rows * pictures for rows, pictures in runs]

    @eager
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
        """[N, A, d] each -> [N, A, d], N the rows of all pictures."""
        assert not causal
        pieces = [torch.split(x, self._sizes) for x in (q, k, v)]
        out = []
        for index, pictures in enumerate(self._pictures):
            own_q, own_k, own_v = (_split(x[index], pictures) for x in pieces)
            with sdpa_kernel(KERNELS):
                own = F.scaled_dot_product_attention(own_q, own_k, own_v)
            out.append(own.transpose(1, 2).flatten(0, 1))
        return torch.cat(out)


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean squared error of velocities and cross entropy of answers, each a scalar; zero where nothing asks for it."""

    flow: Tensor
    text: Tensor


class ToyModel(nn.Module):
    """Thinker and DiT of one configuration over shared layers."""

    def __init__(self, config: ModelConfig, special: SpecialTokens) -> None:
        super().__init__()
        self.config, self.special = config, special
        self.thinker = ThinkerModel(config)
        self.dit = DitModel(config, (special.image_start, special.image_end))
        self.dit.mot.layers = self.thinker.mot.layers
        self.dit.latents = self.thinker.latents
        self._initialise()

    def slots(self) -> list[Slot]:
        """Every checkpoint tensor once, with the view of the parameter that holds it."""
        found: dict[str, Slot] = {}
        for slot in (*self.thinker.slots(), *self.dit.slots()):
            if slot.rows is None:
                found.setdefault(slot.name, slot)
        return list(found.values())

    def cast(self, dtype: torch.dtype) -> None:
        """Everything but the VAE in `dtype`, as the stages hold it."""
        self.to(dtype)
        self.thinker.encoder.float()
        self.dit.decoder.float()

    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Parameters of joint training: everything but the VAE, the fixed tables and the DiT's copy of the markers."""
        skipped = ("thinker.encoder.", "dit.decoder.", "dit.marker_table.")
        return [
            (name, p)
            for name, p in self.named_parameters()
            if not name.startswith(skipped) and not name.endswith(_FROZEN)
        ]

    def rows(self, groups: Sequence[Group]) -> list[tuple[Tensor, Tensor]]:
        """Last layer's rows of every group: gen [B, gen, H] and und [B, und, H]."""
        pictures = self._picture_rows([g for g in groups if g.patches is not None])
        gen = [self._gen_rows(g) for g in groups]
        und = [self._und_rows(g, pictures.pop(0) if g.patches is not None else None) for g in groups]
        joined = [rows.flatten(0, 1) for rows in (*gen, *und)]
        x = self.thinker.mot(
            torch.cat(joined),
            num_gen=sum(rows.shape[0] for rows in joined[: len(groups)]),
            positions=_joined([g.geometry.positions for g in groups], groups),
            context=GroupAttention(groups),
        )
        pieces = torch.split(x, [rows.shape[0] for rows in joined])
        shaped = [piece.view(*rows.shape) for piece, rows in zip(pieces, (*gen, *und), strict=True)]
        return list(zip(shaped[: len(groups)], shaped[len(groups) :], strict=True))

    def velocities(self, groups: Sequence[Group]) -> list[Tensor]:
        """[B, N, C] float32 of every group that has noisy latents."""
        return self._velocities(self.rows(groups), groups)

    def forward(self, groups: Sequence[Group]) -> Losses:
        """Losses over all groups."""
        rows = self.rows(groups)
        text, targets = [], []
        for (_, und), group in zip(rows, groups, strict=True):
            if group.velocity is None or group.slots.text > PROMPT_ONLY_SLOTS:
                text.append(
                    torch.split(und, [group.slots.und - group.slots.text, group.slots.text], dim=1)[1].flatten(0, 1)
                )
                targets.append(group.geometry.targets.flatten())
        flow = self._flow_loss(rows, groups)
        if not text:
            return Losses(flow, flow.new_zeros(()))
        logits = self.thinker.logits(torch.cat(text))
        return Losses(flow, F.cross_entropy(logits, torch.cat(targets), ignore_index=IGNORED))

    def _flow_loss(self, rows: Sequence[tuple[Tensor, Tensor]], groups: Sequence[Group]) -> Tensor:
        wanted = [g.velocity for g in groups if g.velocity is not None]
        if not wanted:
            return rows[0][1].new_zeros(())
        predicted = torch.cat([v.flatten() for v in self._velocities(rows, groups)])
        return F.mse_loss(predicted, torch.cat([w.flatten() for w in wanted]).float())

    def _velocities(self, rows: Sequence[tuple[Tensor, Tensor]], groups: Sequence[Group]) -> list[Tensor]:
        noisy = [
            torch.split(gen, [group.slots.noise * group.slots.copies, group.slots.source], dim=1)[0]
            for (gen, _), group in zip(rows, groups, strict=True)
            if group.slots.noise
        ]
        flat = self.dit.velocity(torch.cat([x.flatten(0, 1) for x in noisy]))
        sizes = [x.shape[0] * x.shape[1] for x in noisy]
        return [v.view(x.shape[0], x.shape[1], -1) for v, x in zip(torch.split(flat, sizes), noisy, strict=True)]

    def _gen_rows(self, group: Group) -> Tensor:
        """[B, gen, H]: per sample the noisy rows, then the clean ones of the context picture at t = 0."""
        latents = self.thinker.latents
        if group.noisy is None or group.times is None:
            return latents.pos_embed.new_zeros(group.samples, 0, self.config.llm.hidden_size)
        rows, columns = group.grid
        table = latents.pos_embed[_grid_ids(rows, columns, self.config.max_latent_size, group.noisy.device)]
        dtype = table.dtype
        places = latents.time_embedding(group.times.flatten())[:, None] + table
        parts = [latents.vae2llm(group.noisy.to(dtype)) + places.view(*group.noisy.shape[:2], -1)]
        if group.source is not None:
            clean = latents.time_embedding(torch.zeros_like(group.times[0, :1]))
            parts.append(latents.vae2llm(group.source.to(dtype)) + clean + table)
        return torch.cat(parts, dim=1)

    def _und_rows(self, group: Group, picture: Tensor | None) -> Tensor:
        """[B, und, H]: per sample markers (of the noise, of the VAE block, of the ViT block), patches, text."""
        slots, embed = group.slots, self.thinker.embed_tokens
        ids = _repeated((self.special.image_start, self.special.image_end), slots.pairs, group.text_ids.device)
        parts = [embed(ids).expand(group.samples, slots.pairs * MARKERS, -1)] if slots.pairs else []
        if picture is not None:
            parts.append(picture)
        parts.append(embed(group.text_ids))
        return torch.cat(parts, dim=1)

    def _picture_rows(self, groups: Sequence[Group]) -> list[Tensor]:
        """[B, m, H] of each group's pictures; patch grids may differ between groups."""
        patches = [g.patches for g in groups if g.patches is not None]
        if not patches:
            return []
        table = self.thinker.vit_pos_embed
        grids = [_grid_ids(*g.patch_grid, self.config.vit_grid_side, table.device) for g in groups]
        ids = torch.cat([grid.repeat(g.samples) for grid, g in zip(grids, groups, strict=True)])
        attention = PictureAttention([p.shape[1] for p in patches for _ in range(p.shape[0])])
        flat = self.thinker.connector(
            self.thinker.vit(torch.cat([p.flatten(0, 1) for p in patches]), ids, attention=attention)
        )
        rows = torch.split(flat, [p.shape[0] * p.shape[1] for p in patches])
        return [x.view(*p.shape[:2], -1) + table[grid] for x, p, grid in zip(rows, patches, grids, strict=True)]

    @torch.no_grad()
    def _initialise(self) -> None:
        depth = 2 * self.config.llm.num_layers
        for name, p in self.named_parameters():
            if name.endswith(("encoder", "decoder")) or ".encoder." in name or ".decoder." in name:
                continue  # the VAE keeps torch's own start
            if p.dim() == 1:
                p.fill_(1.0 if name.endswith("weight") else 0.0)
            else:
                p.normal_(std=INIT_STD if "embed" in name or "head" in name else p.shape[1] ** -0.5)
            if name.endswith((".o.weight", ".down.weight", ".out.weight", ".fc2.weight")) and "connector" not in name:
                p.mul_(depth**-0.5)
        self.dit.llm2vae.weight.zero_()
        side, grid, hidden = self.config.max_latent_size, self.config.vit_grid_side, self.config.llm.hidden_size
        self.thinker.latents.pos_embed.copy_(sincos_table(side, hidden))
        self.thinker.vit_pos_embed.copy_(sincos_table(grid, hidden) * 0.5)


def compute_dtype(device: torch.device) -> torch.dtype:
    """What training computes in: as served, bfloat16 on a GPU and float32 on a CPU."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


@cache
def _grid_ids(rows: int, columns: int, side: int, device: torch.device) -> Tensor:
    """As `grid_position_ids`, on the device and kept: a captured step may not copy from the CPU."""
    return grid_position_ids(rows, columns, side).to(device)


@cache
def _repeated(ids: tuple[int, ...], times: int, device: torch.device) -> Tensor:
    return torch.tensor(ids * times, device=device)


def _joined(tables: Sequence[Tensor], groups: Sequence[Group]) -> Tensor:
    """Tables [B, T] of each group -> [N], as the rows of a step lie."""
    gen = [table[:, : g.slots.gen].flatten() for table, g in zip(tables, groups, strict=True)]
    und = [table[:, g.slots.gen :].flatten() for table, g in zip(tables, groups, strict=True)]
    return torch.cat((*gen, *und))


def _split(x: Tensor, samples: int) -> Tensor:
    """[B * n, heads, d] -> [B, heads, n, d]."""
    return x.view(samples, -1, *x.shape[1:]).transpose(1, 2)
