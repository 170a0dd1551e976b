"""Executes single blocks and tokens on the device. Knows pages and rows, but no requests, plans or queues."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from bagel.images import resize
from bagel.kv_layout import KvLayout
from bagel.model.attention import Attention
from bagel.model.embeddings import grid_position_ids, latent_to_tokens
from bagel.model.kv import PagedContext
from bagel.model.observe import Observe, observe_nothing
from bagel.model.stages import ThinkerModel
from bagel.model.vae import sample_latent
from bagel.model.vit import patchify, pixels_tensor
from bagel.tokens import SpecialTokens
from services.thinker.pages import PagePool
from services.thinker.pages import Sequence as KvSequence


@dataclass(slots=True)
class WorkCounters:
    """What was computed; per request, added up by whoever asks."""

    vit_passes: int = 0
    vae_passes: int = 0
    blocks: int = 0
    prefill_tokens: int = 0
    decode_steps: int = 0
    page_copies: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRows:
    """The rows of one block as the language model takes them: [gen rows | und rows]."""

    rows: Tensor  # [n, H]
    num_gen: int
    slots: Tensor  # [n] places in the sequence
    positions: Tensor  # [n] rotary
    rope_advance: int
    causal: bool


class Runner:
    """The Thinker's model over its page pool. Every method blocks on the device and runs on its thread."""

    def __init__(
        self,
        model: ThinkerModel,
        special: SpecialTokens,
        pages: PagePool,
        pool: Tensor,
        layout: KvLayout,
        attention: Attention,
    ) -> None:
        self.model, self.special, self.pages, self.layout = model, special, pages, layout
        self._pool = pool
        self._attention = attention
        self._device = pool.device
        self.marker_ids = torch.tensor([special.image_start, special.image_end], device=self._device)

    @torch.inference_mode()
    def prefill_text(
        self, sequence: KvSequence, ids: Sequence[int], counters: WorkCounters, observe: Observe = observe_nothing
    ) -> None:
        """Append a causal text block, or the next piece of one."""
        rows = self.model.embed_tokens(torch.tensor(list(ids), device=self._device))
        observe("lm_input", rows)
        counters.prefill_tokens += len(ids)
        observe("hidden", self._append(sequence, self._causal_rows(sequence, rows), counters))

    @torch.inference_mode()
    def prefill_vit(
        self, sequence: KvSequence, image: Image.Image, counters: WorkCounters, observe: Observe = observe_nothing
    ) -> None:
        """Append a ViT block of a picture that the VAE rule has resized already."""
        config = self.model.config
        image = resize(image, config.vit_resize)
        observe("after_vit_resize_u8", pixels_u8(image))
        pixels = pixels_tensor(image.tobytes(), image.height, image.width).to(self._device)
        patch = config.vit.patch_size
        patches = patchify(pixels, patch)
        ids = grid_position_ids(image.height // patch, image.width // patch, config.vit_grid_side).to(self._device)
        observe("patches", patches)
        observe("position_ids", ids)
        features = self.model.vit(patches, ids, observe)
        observe("out", features)
        features = self.model.connector(features)
        observe("connector", features)
        counters.vit_passes += 1
        self._append_picture(sequence, features + self.model.vit_pos_embed[ids], 0, counters, observe)

    @torch.inference_mode()
    def prefill_vae(
        self,
        sequence: KvSequence,
        image: Image.Image,
        noise: Tensor,
        counters: WorkCounters,
        observe: Observe = observe_nothing,
    ) -> None:
        """Append a VAE block of a resized picture; `noise` [1, z, h, w] samples its posterior."""
        config = self.model.config
        pixels = pixels_tensor(image.tobytes(), image.height, image.width).to(self._device)[None]
        mean, logvar = self.model.encoder(pixels, lambda mid: observe("mid", mid))
        latent = sample_latent(mean, logvar, noise.to(self._device), config.vae)
        tokens = latent_to_tokens(latent[0], config.latent_patch_size)
        grid = image.height // config.token_pixels, image.width // config.token_pixels
        ids = grid_position_ids(*grid, config.max_latent_size).to(self._device)
        for name, value in (
            ("pixels", pixels), ("mean", mean), ("logvar", logvar), ("latent", latent), ("patchified", tokens),
            ("position_ids", ids),
        ):  # fmt: skip
            observe(name, value)
        clean = torch.zeros(1, device=self._device)
        counters.vae_passes += 1
        rows = self.model.latents(tokens, clean, ids)
        self._append_picture(sequence, rows, len(rows), counters, observe)

    @torch.inference_mode()
    def decode(self, sequence: KvSequence, token: int, counters: WorkCounters) -> Tensor:
        """Append one fed token; logits [vocab] float32 of the token that follows it."""
        rows = self.model.embed_tokens(torch.tensor([token], device=self._device))
        counters.decode_steps += 1
        return self.model.logits(self._append(sequence, self._causal_rows(sequence, rows), counters))[0]

    def posterior_shape(self, image: Image.Image) -> tuple[int, int, int, int]:
        """Shape [1, z, h, w] of the noise that samples a resized picture's posterior."""
        vae = self.model.config.vae
        return (1, vae.z_channels, image.height // vae.downsample, image.width // vae.downsample)

    def _append_picture(
        self, sequence: KvSequence, rows: Tensor, num_gen: int, counters: WorkCounters, observe: Observe
    ) -> None:
        """Append [start marker, rows, end marker]: full attention inside, one rotary position for all."""
        markers = self.model.embed_tokens(self.marker_ids)
        observe("lm_input", torch.cat((markers[:1], rows, markers[1:])))
        count = len(rows)
        order = torch.cat((torch.arange(1, count + 1), torch.tensor([0, count + 1])))
        block = BlockRows(
            rows=torch.cat((rows, markers)),
            num_gen=num_gen,
            slots=sequence.tokens + order,
            positions=torch.full((count + 2,), sequence.rope, device=self._device),
            rope_advance=1,
            causal=False,
        )
        counters.prefill_tokens += count + 2
        out = self._append(sequence, block, counters)
        observe("hidden", torch.cat((out[count : count + 1], out[:count], out[count + 1 :])))

    def _causal_rows(self, sequence: KvSequence, rows: Tensor) -> BlockRows:
        count = len(rows)
        return BlockRows(
            rows=rows,
            num_gen=0,
            slots=torch.arange(sequence.tokens, sequence.tokens + count),
            positions=torch.arange(sequence.rope, sequence.rope + count, device=self._device),
            rope_advance=count,
            causal=True,
        )

    def _append(self, sequence: KvSequence, block: BlockRows, counters: WorkCounters) -> Tensor:
        past = sequence.tokens
        copy = self.pages.append(sequence, len(block.rows), rope_advance=block.rope_advance)
        if copy is not None:
            self._pool[copy.target] = self._pool[copy.source]
            counters.page_copies += 1
        context = PagedContext(
            self._pool, sequence.pages, past=past, slots=block.slots, causal=block.causal, attention=self._attention
        )
        out: Tensor = self.model.mot(block.rows, num_gen=block.num_gen, positions=block.positions, context=context)
        return out


def pixels_u8(image: Image.Image) -> Tensor:
    """An RGB picture as [H, W, 3] uint8."""
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(image.height, image.width, 3)
