"""Denoising one picture from loaded contexts. Knows no transport, queue or RPC. Device thread only.

The rows of one forward are [B * m latents | B * 2 markers] for B branches; each branch has its own context and rotary
position and the same input rows. Source: golden README, sections 2.3, 2.5 and 5.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from bagel.contexts import Role
from bagel.errors import IncompleteContextError, RequestError
from bagel.kv_layout import KvLayout
from bagel.model.attention import Attention
from bagel.model.embeddings import grid_position_ids, tokens_to_latent
from bagel.model.flow import Step, Velocities, euler_steps
from bagel.model.kv import BranchBuffers, pages_on
from bagel.model.observe import Observe, observe_nothing
from bagel.model.stages import DitModel
from bagel.model.vae import to_uint8, unscale_latent
from bagel.settings import SamplerSettings


@dataclass(frozen=True, slots=True)
class Context:
    """One context as it arrived: whose roles it plays, its pages' places in the pool, tokens, rotary position."""

    roles: tuple[Role, ...]
    pages: tuple[int, ...]
    tokens: int
    rope: int


class Denoiser:
    """The DiT's model. `most_tokens` bounds a context."""

    def __init__(
        self,
        model: DitModel,
        layout: KvLayout,
        attention: Attention,
        device: torch.device,
        *,
        most_tokens: int | None = None,
    ) -> None:
        self.model, self.layout, self.device = model, layout, device
        self._attention, self._most_tokens = attention, most_tokens

    def load(
        self, contexts: Sequence[Context], pool: Tensor, size: tuple[int, int], observe: Observe = observe_nothing
    ) -> "Canvas":
        """Copy contexts from pages [P, K, L, 2, T, d] into buffers for pictures of (height, width) pixels.

        The pages may be given back afterwards. Raises IncompleteContextError when gen or a page is missing,
        RequestError when a context is too long.
        """
        _check_contexts(contexts, self.layout)
        longest = max(context.tokens for context in contexts)
        if self._most_tokens is not None and longest > self._most_tokens:
            raise RequestError(
                f"the context has {longest} tokens, this DiT takes {self._most_tokens} (--max-model-len)"
            )
        side = self.model.config.token_pixels
        grid = size[0] // side, size[1] // side
        buffers = BranchBuffers(self.layout, [c.tokens for c in contexts], grid[0] * grid[1] + 2, self.device)
        place_of = {page: page for context in contexts for page in context.pages}
        if pool.device != self.device:
            needed = sorted(place_of)  # each once, however many contexts use it
            pool, place_of = pages_on(self.device, pool, needed), {page: at for at, page in enumerate(needed)}
        for index, context in enumerate(contexts):
            places = torch.tensor([place_of[page] for page in context.pages], dtype=torch.long, device=self.device)
            buffers.load_context(index, pool[places])
            for role in context.roles:
                observe(f"ctx.{role.value}", buffers.buffers[index][:, :, : context.tokens])  # [L, 2, S, K, d]
        return Canvas(self.model, self._attention, contexts, buffers, grid)


class Canvas:
    """Loaded contexts of one request; any number of pictures of one size are drawn on it, one after the other."""

    def __init__(
        self,
        model: DitModel,
        attention: Attention,
        contexts: Sequence[Context],
        buffers: BranchBuffers,
        grid: tuple[int, int],
    ) -> None:
        self.buffers, self.contexts, self.grid = buffers, list(contexts), grid
        self.forwards = 0
        self._model, self._attention = model, attention
        self._device = model.markers.device
        self._ids = grid_position_ids(*grid, model.config.max_latent_size).to(self._device)
        self._branch_of = {role: index for index, context in enumerate(contexts) for role in context.roles}

    @property
    def noise_shape(self) -> tuple[int, int]:
        """Shape [m, C] of the start noise."""
        return (self.grid[0] * self.grid[1], self._model.config.token_channels)

    @property
    def position_ids(self) -> Tensor:
        """Rows [m] of the latent position table that the tokens use."""
        return self._ids

    def check_roles(self, settings: SamplerSettings) -> None:
        """Raise IncompleteContextError unless every context is there that these settings ever evaluate."""
        needed = [Role.GEN]
        needed += [Role.CFG_TEXT] if settings.guidance.needs_cfg_text else []
        needed += [Role.CFG_IMG] if settings.guidance.needs_cfg_img else []
        missing = [role.value for role in needed if role not in self._branch_of]
        if missing:
            raise IncompleteContextError(f"the context lacks {', '.join(missing)}, which this guidance needs")

    def steps(
        self, noise: Tensor, settings: SamplerSettings, observe: Observe = observe_nothing
    ) -> Iterator[tuple[Step, Tensor]]:
        """Denoise from noise [m, C] float32; yields each step and the state after it."""
        self.check_roles(settings)

        def velocity(x: Tensor, t: Tensor, guided: bool) -> Velocities:
            return self._velocities(x, t, settings, guided=guided, observe=observe)

        return euler_steps(noise.to(self._device), settings, velocity)

    @torch.inference_mode()
    def decode(self, x: Tensor, observe: Observe = observe_nothing) -> Image.Image:
        """Final state [m, C] -> the picture."""
        config = self._model.config
        latent = tokens_to_latent(x, *self.grid, config.latent_patch_size)[None]
        observe("latent.unpatchified", latent)
        decoded = self._model.decoder(unscale_latent(latent, config.vae))
        observe("image.decoded", decoded)
        return Image.fromarray(to_uint8(decoded).cpu().numpy())

    @torch.inference_mode()
    def _velocities(
        self, x: Tensor, t: Tensor, settings: SamplerSettings, *, guided: bool, observe: Observe
    ) -> Velocities:
        roles = [Role.GEN]
        if guided:
            roles.append(Role.CFG_TEXT)
            roles += [Role.CFG_IMG] if settings.guidance.needs_cfg_img else []
        branches = list(dict.fromkeys(self._branch_of[role] for role in roles))
        found = dict(zip(branches, self._forward(x, t, branches, observe), strict=True))
        by_role = {role: found[self._branch_of[role]] for role in roles}
        for role, value in by_role.items():
            observe(f"v.{role.value}", value)
        return Velocities(by_role[Role.GEN], by_role.get(Role.CFG_TEXT), by_role.get(Role.CFG_IMG))

    def _forward(self, x: Tensor, t: Tensor, branches: Sequence[int], observe: Observe) -> Sequence[Tensor]:
        """Velocities [m, C] of the branches, for one state."""
        latents = self._model.latents(x, t.to(self._device)[None], self._ids)
        markers = self._model.markers
        observe("lm_input", torch.cat((markers[:1], latents, markers[1:])))
        count, m = len(branches), len(latents)
        ropes = torch.tensor([self.contexts[b].rope for b in branches], device=self._device)
        rows = self._model.mot(
            torch.cat((latents.repeat(count, 1), markers.repeat(count, 1))),
            num_gen=count * m,
            positions=torch.cat((ropes.repeat_interleave(m), ropes.repeat_interleave(2))),
            context=self.buffers.select(branches, self._attention),
            observe=lambda layer, out: observe(f"layer{layer}", out),
        )
        self.forwards += count
        velocities = self._model.velocity(rows[: count * m])
        return [velocities[i * m : (i + 1) * m] for i in range(count)]


def _check_contexts(contexts: Sequence[Context], layout: KvLayout) -> None:
    if not any(Role.GEN in context.roles for context in contexts):
        raise IncompleteContextError("the sealed context has no gen branch")
    for context in contexts:
        if len(context.pages) != layout.pages_for(context.tokens):
            raise IncompleteContextError(
                f"context {context.roles[0].value} has {len(context.pages)} pages for {context.tokens} tokens of"
                f" {layout.page_tokens} a page"
            )
