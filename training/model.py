"""The whole model for training: both stages' modules around one set of layers, with losses over groups of samples.

All arithmetic is `bagel.model`'s; here it only runs on many samples at once. Rows of a step lie as [all groups' gen
rows | all groups' und rows], so that products run over everything together and attention runs group by group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bagel.config import ModelConfig
from bagel.model.embeddings import grid_position_ids, sincos_table
from bagel.model.stages import DitModel, Slot, ThinkerModel
from bagel.tokens import SpecialTokens
from training.blocks import IGNORED, MARKERS, Geometry, RowSlots

INIT_STD = 0.02
_FROZEN = ("latents.pos_embed",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """B samples of one layout, on the device. Latent tokens are [B, N, C]; grids are (rows, columns)."""

    slots: RowSlots
    geometry: Geometry
    text_ids: Tensor  # [B, text]
    grid: tuple[int, int] = (0, 0)  # of the latents
    noisy: Tensor | None = None
    velocity: Tensor | None = None  # what is to be predicted; None when only looking
    times: Tensor | None = None  # [B]
    source: Tensor | None = None
    patches: Tensor | None = None  # [B, m, P*P*3] in [-1, 1]
    patch_grid: tuple[int, int] = (0, 0)

    @property
    def samples(self) -> int:
        """Samples in the group."""
        return int(self.text_ids.shape[0])


class GroupAttention:
    """The layers' `KvContext`: attention of every group under its own mask."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups

    @torch.compiler.disable
    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [N, A, d], k and v [N, K, d] over the rows of all groups -> [N, A, d]."""
        del layer
        gen, und = [], []
        gen_at, und_at = 0, sum(g.samples * g.slots.gen for g in self._groups)
        for group in self._groups:
            gen_end, und_end = gen_at + group.samples * group.slots.gen, und_at + group.samples * group.slots.und
            rows = [
                torch.cat((_split(x[gen_at:gen_end], group.samples), _split(x[und_at:und_end], group.samples)), dim=1)
                for x in (q, k, v)
            ]
            out = _masked_attention(*rows, group.geometry.mask)
            gen.append(out[:, : group.slots.gen].flatten(0, 1))
            und.append(out[:, group.slots.gen :].flatten(0, 1))
            gen_at, und_at = gen_end, und_end
        return torch.cat((*gen, *und))


class PictureAttention:
    """The ViT's attention inside each of `pictures` pictures whose rows follow one another."""

    def __init__(self, pictures: int) -> None:
        self._pictures = pictures

    @torch.compiler.disable
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
        """[B * m, A, d] each -> [B * m, A, d]."""
        assert not causal
        return _masked_attention(*(_split(x, self._pictures) for x in (q, k, v)), None).flatten(0, 1)


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

    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Parameters of joint training: everything but the VAE, the fixed tables and the DiT's copy of the markers."""
        skipped = ("thinker.encoder.", "dit.decoder.", "dit.markers")
        return [
            (name, p)
            for name, p in self.named_parameters()
            if not name.startswith(skipped) and not name.endswith(_FROZEN)
        ]

    def rows(self, groups: Sequence[Group]) -> tuple[Tensor, int]:
        """Last layer's rows of all groups and how many of them are gen rows."""
        gen = [rows for g in groups for rows in self._gen_rows(g)]
        und = [self._und_rows(g) for g in groups]
        positions = [g.geometry.positions[:, : g.slots.gen].flatten() for g in groups]
        positions += [g.geometry.positions[:, g.slots.gen :].flatten() for g in groups]
        num_gen = sum(g.samples * g.slots.gen for g in groups)
        x = self.thinker.mot(
            torch.cat((*gen, *und)), num_gen=num_gen, positions=torch.cat(positions), context=GroupAttention(groups)
        )
        return x, num_gen

    def velocities(self, groups: Sequence[Group]) -> list[Tensor]:
        """[B, N, C] float32 of every group that has noisy latents."""
        rows, _ = self.rows(groups)
        return self._velocities(rows, groups)

    def forward(self, groups: Sequence[Group]) -> Losses:
        """Losses over all groups."""
        rows, num_gen = self.rows(groups)
        flow = self._flow_loss(rows, groups)
        text, at = [], num_gen
        for group in groups:
            und = rows[at : at + group.samples * group.slots.und].view(group.samples, group.slots.und, -1)
            at += group.samples * group.slots.und
            if group.velocity is None or group.slots.text > PROMPT_ONLY_SLOTS:
                text.append((und[:, -group.slots.text :].flatten(0, 1), group.geometry.targets.flatten()))
        if not text:
            return Losses(flow, flow.new_zeros(()))
        logits = self.thinker.logits(torch.cat([r for r, _ in text]))
        targets = torch.cat([t for _, t in text])
        return Losses(flow, F.cross_entropy(logits, targets, ignore_index=IGNORED))

    def _flow_loss(self, rows: Tensor, groups: Sequence[Group]) -> Tensor:
        wanted = [g.velocity for g in groups if g.velocity is not None]
        if not wanted:
            return rows.new_zeros(())
        predicted = torch.cat([v.flatten() for v in self._velocities(rows, groups)])
        return F.mse_loss(predicted, torch.cat([w.flatten() for w in wanted]).float())

    def _velocities(self, rows: Tensor, groups: Sequence[Group]) -> list[Tensor]:
        pieces, at = [], 0
        for group in groups:
            if group.slots.noise:
                own = rows[at : at + group.samples * group.slots.gen].view(group.samples, group.slots.gen, -1)
                pieces.append(own[:, : group.slots.noise])
            at += group.samples * group.slots.gen
        flat = self.dit.velocity(torch.cat([p.flatten(0, 1) for p in pieces]))
        sizes = [p.shape[0] * p.shape[1] for p in pieces]
        return [v.view(p.shape[0], p.shape[1], -1) for v, p in zip(flat.split(sizes), pieces, strict=True)]

    def _gen_rows(self, group: Group) -> list[Tensor]:
        """[B * gen, H]: per sample the noisy rows, then the clean ones of the context picture at t = 0."""
        if group.noisy is None or group.times is None:
            return []
        latents = self.thinker.latents
        rows, columns = group.grid
        table = latents.pos_embed[grid_position_ids(rows, columns, self.config.max_latent_size).to(group.noisy.device)]
        parts = [latents.vae2llm(group.noisy) + latents.time_embedding(group.times)[:, None] + table]
        if group.source is not None:
            parts.append(
                latents.vae2llm(group.source) + latents.time_embedding(torch.zeros_like(group.times[:1])) + table
            )
        return [torch.cat(parts, dim=1).flatten(0, 1)]

    def _und_rows(self, group: Group) -> Tensor:
        """[B * und, H]: per sample markers (of the noise, of the VAE block, of the ViT block), patches, text."""
        slots, embed = group.slots, self.thinker.embed_tokens
        pairs = sum(1 for n in (slots.noise, slots.source, slots.patches) if n)
        ids = torch.tensor([self.special.image_start, self.special.image_end] * pairs, device=group.text_ids.device)
        parts = [embed(ids).expand(group.samples, pairs * MARKERS, -1)] if pairs else []
        if group.patches is not None:
            parts.append(self._picture_rows(group.patches, group.patch_grid))
        parts.append(embed(group.text_ids))
        return torch.cat(parts, dim=1).flatten(0, 1)

    def _picture_rows(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        batch, count, _ = patches.shape
        ids = grid_position_ids(*grid, self.config.vit_grid_side).to(patches.device)

        flat = self.thinker.vit(patches.flatten(0, 1), ids.repeat(batch), attention=PictureAttention(batch))
        rows: Tensor = self.thinker.connector(flat) + self.thinker.vit_pos_embed[ids].repeat(batch, 1)
        return rows.view(batch, count, -1)

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


# Groups for pictures whose text slots hold nothing but a prompt have no answer to learn.
PROMPT_ONLY_SLOTS = 64


def _split(x: Tensor, samples: int) -> Tensor:
    """[B * n, heads, d] -> [B, n, heads, d]."""
    return x.view(samples, -1, *x.shape[1:])


def _masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """q [B, T, A, d], k and v [B, T, K, d] -> [B, T, A, d]; query head i reads key/value head i // (A // K)."""
    repeats = q.shape[2] // k.shape[2]
    if repeats > 1:
        k, v = k.repeat_interleave(repeats, dim=2), v.repeat_interleave(repeats, dim=2)
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask)
    return out.transpose(1, 2)
