"""What one training step sees: groups drawn from the shelves, with noise, times and dropouts."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bagel.config import ModelConfig
from bagel.images import resized_size
from training.blocks import Kept, RowSlots, geometry
from training.buckets import BASE, BUCKETS, Bucket
from training.corpus import Part
from training.model import Group
from training.store import Shelf

THINK_SHARE = 0.15
# Of the steps at other sizes that ask about base-sized views: with all steps at the base size, four questions in five.
VIEWS_SHARE = 0.4
EDIT_COPIES = 2  # noisy pictures to one context, which is twice as long as they
# Flat pictures show their structure through much noise: most of what is to be learnt lies at times near 1.
TIME_SHIFT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """Samples of each task in a step at the base size; pictures scale with the inverse of their tokens."""

    pictures: int = 232
    edits: int = 48
    questions: int = 128
    texts: int = 48
    drop_all: float = 0.1  # neither text nor picture: the unconditional context of text -> image
    drop_prompt: float = 0.08  # an edit without its text
    drop_picture: float = 0.1  # an edit without its picture
    uniform_times: float = 0.15


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step draws: the shapes of its groups follow from it, and nothing else does."""

    bucket: Bucket
    think: bool
    views: bool  # questions are about base-sized views, not about the bucket's own scenes


class Batches:
    """Draws steps: a plan on the CPU, then groups by the device's generator."""

    def __init__(
        self, shelves: dict[tuple[Part, str], Shelf], config: ModelConfig, settings: BatchSettings, device: torch.device
    ) -> None:
        self._shelves, self._config, self._settings, self._device = shelves, config, settings, device
        self._buckets = [b for b in BUCKETS if (Part.SCENES, b.name) in shelves]

    def plan(self, step: int, seed: int) -> Plan:
        """What a step draws, and the seed of everything that is random in it."""
        torch.manual_seed(seed * 1_000_003 + step)
        cpu = torch.Generator().manual_seed(seed * 1_000_003 + step)
        weights = torch.tensor([b.share for b in self._buckets])
        bucket = self._buckets[int(torch.multinomial(weights, 1, generator=cpu))]
        think = float(torch.rand((), generator=cpu)) < THINK_SHARE
        views = bucket.views > 0 or float(torch.rand((), generator=cpu)) < VIEWS_SHARE
        return Plan(bucket, think, views)

    def draw(self, plan: Plan) -> list[Group]:
        """The groups of a step, drawn on the device alone."""
        s, bucket, scale = self._settings, plan.bucket, BASE.tokens / plan.bucket.tokens
        scenes = self._shelves[Part.SCENES, bucket.name]
        groups = [self._pictures(scenes, _count(s.pictures, scale), think=plan.think)]
        edits = self._shelves.get((Part.EDITS, bucket.name))
        if edits is not None:
            groups.append(self._pictures(edits, _count(s.edits, scale), think=plan.think))
        key, fewer = ("answer_think", 2) if plan.think else ("answer", 1)
        asked = self._shelves[Part.VIEWS, BASE.name] if plan.views else scenes
        groups.append(self._questions(asked, key, s.questions // fewer))
        groups.append(self._questions(self._shelves[Part.TEXTS, "all"], key, s.texts // fewer))
        return groups

    def _pictures(self, shelf: Shelf, count: int, *, think: bool) -> Group:
        """Text -> image, or an edit where the shelf has source pictures."""
        assert shelf.bucket is not None
        arrays, bucket = shelf.arrays, shelf.bucket
        index = torch.randint(shelf.count, (count,), device=self._device)
        edit = "source.mean" in arrays
        patches = self._patches(arrays, index) if edit else None
        clean = self._latents(arrays, "pixels", index)
        slots = RowSlots(
            noise=bucket.tokens,
            source=bucket.tokens if edit else 0,
            patches=patches.shape[1] if patches is not None else 0,
            text=0,
            copies=EDIT_COPIES if edit else 1,
        )
        slots, ids, blocks = _text(arrays["think" if think else "prompt"], index, slots)
        times = self._times(count * slots.copies, bucket)
        clean, at = clean.repeat_interleave(slots.copies, dim=0), times[:, None, None]
        noise = torch.randn_like(clean)
        return Group(
            slots=slots,
            geometry=geometry(slots, ids, blocks, self._kept(count, edit=edit)),
            text_ids=ids,
            grid=(bucket.height // 16, bucket.width // 16),
            noisy=((1 - at) * clean + at * noise).view(count, -1, clean.shape[-1]),
            velocity=(noise - clean).view(count, -1, clean.shape[-1]),
            times=times.view(count, -1),
            source=self._latents(arrays, "source", index) if edit else None,
            patches=patches,
            patch_grid=_patch_grid(slots.patches, bucket, self._config),
        )

    def _questions(self, shelf: Shelf, key: str, count: int) -> Group:
        """A question and its answer, about a picture where the shelf has patches."""
        index = torch.randint(shelf.count, (count,), device=self._device)
        patches = self._patches(shelf.arrays, index) if "patches" in shelf.arrays else None
        slots = RowSlots(noise=0, source=0, patches=patches.shape[1] if patches is not None else 0, text=0)
        slots, ids, blocks = _text(shelf.arrays[key], index, slots)
        everything = torch.ones(count, dtype=torch.bool, device=self._device)
        kept = Kept(everything, everything, everything)
        return Group(
            slots=slots,
            geometry=geometry(slots, ids, blocks, kept),
            text_ids=ids,
            patches=patches,
            patch_grid=_patch_grid(slots.patches, shelf.bucket, self._config),
        )

    def _kept(self, count: int, *, edit: bool) -> Kept:
        """Dropouts by one uniform number a sample: nothing kept, no prompt, no picture, no thought."""
        s = self._settings
        u = torch.rand(count, device=self._device)
        if not edit:
            prompt = u >= s.drop_all
            return Kept(prompt, prompt & (u < 0.9), torch.ones_like(prompt))
        nothing, no_prompt = u < s.drop_all / 2, (u >= 0.2) & (u < 0.2 + s.drop_prompt)
        no_picture = (u >= 0.4) & (u < 0.4 + s.drop_picture)
        prompt, picture = ~(nothing | no_prompt), ~(nothing | no_picture)
        return Kept(prompt, prompt & picture, picture)

    def _times(self, count: int, bucket: Bucket) -> Tensor:
        """Logit-normal times, shifted the further the larger the picture; a share of them uniform."""
        shift = TIME_SHIFT * (bucket.tokens / BASE.tokens) ** 0.25
        t = torch.sigmoid(torch.randn(count, device=self._device))
        t = shift * t / (1 + (shift - 1) * t)
        uniform = torch.rand(count, device=self._device)
        return torch.where(torch.rand(count, device=self._device) < self._settings.uniform_times, uniform, t)

    def _latents(self, arrays: dict[str, Tensor], key: str, index: Tensor) -> Tensor:
        """A posterior sample of each picture as scaled tokens [B, N, C]."""
        mean, std = arrays[f"{key}.mean"][index].float(), arrays[f"{key}.std"][index].float()
        vae = self._config.vae
        latent = vae.scale_factor * (mean + std * torch.randn_like(mean) - vae.shift_factor)
        return batch_tokens(latent, self._config.latent_patch_size)

    def _patches(self, arrays: dict[str, Tensor], index: Tensor) -> Tensor:
        return arrays["patches"][index].float() / 127.5 - 1.0


def batch_tokens(latent: Tensor, patch: int) -> Tensor:
    """[B, z, p*h, p*w] -> [B, h*w, p*p*z], as `bagel.model.embeddings.latent_to_tokens` for each."""
    batch, z, height, width = latent.shape
    grid = latent.reshape(batch, z, height // patch, patch, width // patch, patch)
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, patch * patch * z)


def _text(variants: Tensor, index: Tensor, slots: RowSlots) -> tuple[RowSlots, Tensor, Tensor]:
    """A random variant of each sample's texts: slots with room for it, ids and blocks [B, L]."""
    choice = torch.randint(variants.shape[1], (index.shape[0],), device=index.device)
    ids, blocks = variants[index, choice].long().unbind(1)
    return replace(slots, text=ids.shape[1]), ids, blocks


def _patch_grid(patches: int, bucket: Bucket | None, config: ModelConfig) -> tuple[int, int]:
    if not patches or bucket is None:
        return 0, 0
    width, height = resized_size(bucket.width, bucket.height, config.vit_resize)
    return height // config.vit.patch_size, width // config.vit.patch_size


def _count(samples: int, scale: float) -> int:
    return max(2, min(2 * samples, round(samples * scale)))
