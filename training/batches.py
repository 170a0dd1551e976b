"""What one training step sees: groups drawn from the shelves, with noise, times and dropouts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bagel.config import ModelConfig
from bagel.images import resized_size
from training.blocks import Kept, RowSlots, geometry
from training.buckets import BASE, BUCKETS, Bucket
from training.corpus import Part
from training.model import Group, compute_dtype
from training.store import Shelf

THINK_SHARE = 0.15
# Of the steps at other sizes that ask about base-sized views: with all steps at the base size, four questions in five.
VIEWS_SHARE = 0.4
# Flat pictures show their structure through much noise: most of what is to be learnt lies at times near 1.
TIME_SHIFT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """Samples of each task in a step at the base size; pictures scale with the inverse of their tokens."""

    pictures: int = 208
    edits: int = 56
    questions: int = 160
    texts: int = 64
    drop_all: float = 0.1  # neither text nor picture: the unconditional context of text -> image
    drop_prompt: float = 0.08  # an edit without its text
    drop_picture: float = 0.1  # an edit without its picture
    uniform_times: float = 0.15


class Batches:
    """Draws steps. All randomness comes from one CPU generator and one device generator."""

    def __init__(
        self, shelves: dict[tuple[Part, str], Shelf], config: ModelConfig, settings: BatchSettings, device: torch.device
    ) -> None:
        self._shelves, self._config, self._settings, self._device = shelves, config, settings, device
        self._dtype = compute_dtype(device)
        self._buckets = [b for b in BUCKETS if (Part.SCENES, b.name) in shelves]

    def draw(self, step: int, seed: int) -> tuple[Bucket, list[Group]]:
        """The groups of a step; the same step and seed give the same ones."""
        torch.manual_seed(seed * 1_000_003 + step)
        cpu = torch.Generator().manual_seed(seed * 1_000_003 + step)
        weights = torch.tensor([b.share for b in self._buckets])
        bucket = self._buckets[int(torch.multinomial(weights, 1, generator=cpu))]
        think = float(torch.rand((), generator=cpu)) < THINK_SHARE
        s, scale = self._settings, BASE.tokens / bucket.tokens
        scenes = self._shelves[Part.SCENES, bucket.name]
        groups = [self._pictures(scenes, _count(s.pictures, scale), think=think)]
        edits = self._shelves.get((Part.EDITS, bucket.name))
        if edits is not None:
            groups.append(self._pictures(edits, _count(s.edits, scale), think=think))
        key = "answer_think" if think else "answer"
        views = self._shelves[Part.VIEWS, BASE.name]
        asked = views if bucket.views or float(torch.rand((), generator=cpu)) < VIEWS_SHARE else scenes
        groups.append(self._questions(asked, key, s.questions // (2 if think else 1)))
        texts = self._shelves[Part.TEXTS, "all"]
        groups.append(self._questions(texts, key, s.texts // (2 if think else 1)))
        return bucket, groups

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
        )
        slots, ids, blocks = _text(arrays["think" if think else "prompt"], index, slots)
        noise, times = torch.randn_like(clean), self._times(count, bucket)
        at = times[:, None, None]
        return Group(
            slots=slots,
            geometry=geometry(slots, ids, blocks, self._kept(count, edit=edit), self._dtype),
            text_ids=ids,
            grid=(bucket.height // 16, bucket.width // 16),
            noisy=(1 - at) * clean + at * noise,
            velocity=noise - clean,
            times=times,
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
            geometry=geometry(slots, ids, blocks, kept, self._dtype),
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
    """A random variant of each sample's texts; slots are padded so that masks have an aligned number of columns."""
    choice = torch.randint(variants.shape[1], (index.shape[0],), device=index.device)
    chosen = variants[index, choice].long()  # [B, 2, L]
    total = slots.gen + slots.und + chosen.shape[2]
    extra = -total % 8
    ids = torch.nn.functional.pad(chosen[:, 0], (0, extra))
    blocks = torch.nn.functional.pad(chosen[:, 1], (0, extra), value=9)
    text = RowSlots(noise=slots.noise, source=slots.source, patches=slots.patches, text=ids.shape[1])
    return text, ids, blocks


def _patch_grid(patches: int, bucket: Bucket | None, config: ModelConfig) -> tuple[int, int]:
    if not patches or bucket is None:
        return 0, 0
    width, height = resized_size(bucket.width, bucket.height, config.vit_resize)
    return height // config.vit.patch_size, width // config.vit.patch_size


def _count(samples: int, scale: float) -> int:
    return max(2, min(2 * samples, round(samples * scale)))
