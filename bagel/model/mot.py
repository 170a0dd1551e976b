"""The language model: layers with two experts, und and gen, that share one attention.

Rows come as [gen rows | und rows]: `num_gen` leading rows use the gen weights, the rest the und weights, so experts
are slices, never masks. What the rows attend to is the `KvContext` argument's business. Source: golden README,
sections 2.1, 2.2 and 7.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bagel.config import LlmConfig
from bagel.model.rope import apply_rope, rope_tables


class KvContext(Protocol):
    """Keys and values that the rows of one forward see."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store what is to be kept of k, v [N, K, d], and return the attention of q [N, A, d] as [N, A, d]."""
        ...


class RmsNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight; statistics in float32, result cast to the input's type, then weighted."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        h = x.float()
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * h.to(x.dtype)


class Expert(nn.Module):
    """One expert's weights of one layer; q, k, v fused into one product, gate and up into another."""

    def __init__(self, config: LlmConfig) -> None:
        super().__init__()
        hidden, d, eps = config.hidden_size, config.head_dim, config.rms_norm_eps
        self.input_norm = RmsNorm(hidden, eps)
        self.qkv = nn.Linear(hidden, (config.num_heads + 2 * config.num_kv_heads) * d)
        self.q_norm = RmsNorm(d, eps)
        self.k_norm = RmsNorm(d, eps)
        self.o = nn.Linear(hidden, hidden, bias=False)
        self.post_norm = RmsNorm(hidden, eps)
        self.gate_up = nn.Linear(hidden, 2 * config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, hidden, bias=False)

    def project(self, x: Tensor) -> Tensor:
        """[N, H] -> q, k, v side by side [N, (A + 2K) * d]."""
        out: Tensor = self.qkv(self.input_norm(x))
        return out

    def mlp(self, x: Tensor) -> Tensor:
        """The gated MLP on the normed rows, [N, H] -> [N, H]."""
        gate, up = self.gate_up(self.post_norm(x)).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class MotLayer(nn.Module):
    """One layer: what rows share (attention) and what they do not (everything else)."""

    def __init__(self, config: LlmConfig, *, gen: bool) -> None:
        super().__init__()
        self.und = Expert(config)
        self.gen = Expert(config) if gen else None
        self.heads, self.kv_heads, self.head_dim = config.num_heads, config.num_kv_heads, config.head_dim

    def forward(self, x: Tensor, num_gen: int, rope: tuple[Tensor, Tensor], layer: int, context: KvContext) -> Tensor:
        q, k, v = self._qkv(x, num_gen)
        attended = context.attend(layer, *self._positioned(q, k, v, num_gen, rope, x.dtype))
        x = x + self._by_expert(lambda e, rows: e.o(rows), attended.reshape(x.shape), num_gen)
        return x + self._by_expert(lambda e, rows: e.mlp(rows), x, num_gen)

    def _qkv(self, x: Tensor, num_gen: int) -> tuple[Tensor, Tensor, Tensor]:
        fused = self._by_expert(lambda e, rows: e.project(rows), x, num_gen)
        fused = fused.view(x.shape[0], self.heads + 2 * self.kv_heads, self.head_dim)
        q, k, v = torch.split(fused, [self.heads, self.kv_heads, self.kv_heads], dim=1)
        return q, k, v

    def _positioned(
        self, q: Tensor, k: Tensor, v: Tensor, num_gen: int, rope: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """q/k norm, then rope. Blocks with gen rows do both in float32, as the original does."""
        if num_gen:
            q, k = q.float(), k.float()
        cos, sin = rope
        q = apply_rope(self._by_expert(lambda e, rows: e.q_norm(rows), q, num_gen), cos, sin)
        k = apply_rope(self._by_expert(lambda e, rows: e.k_norm(rows), k, num_gen), cos, sin)
        return q.to(dtype), k.to(dtype), v

    def _by_expert(self, part: Callable[[Expert, Tensor], Tensor], rows: Tensor, num_gen: int) -> Tensor:
        if not num_gen:
            return part(self.und, rows)
        assert self.gen is not None, "gen rows in a model that was built without the gen expert"
        gen, und = torch.split(rows, [num_gen, rows.shape[0] - num_gen])
        return torch.cat((part(self.gen, gen), part(self.und, und)))


class MotModel(nn.Module):
    """The stack of layers and the final norms. `gen` builds the gen expert too; `layers` takes another model's."""

    def __init__(
        self, config: LlmConfig, *, gen: bool, norm_und: bool, norm_gen: bool, layers: nn.ModuleList | None = None
    ) -> None:
        super().__init__()
        self.config = config
        own = [MotLayer(config, gen=gen) for _ in range(config.num_layers)] if layers is None else []
        self.layers = nn.ModuleList(own) if layers is None else layers
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps) if norm_und else None
        self.norm_gen = RmsNorm(config.hidden_size, config.rms_norm_eps) if norm_gen else None

    def forward(
        self,
        x: Tensor,
        *,
        num_gen: int,
        positions: Tensor,
        context: KvContext,
        observe: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Rows [N, H] = [gen rows | und rows] at rotary positions [N] -> last layer's output [N, H], not yet normed.

        `observe(layer, rows)` sees every layer's output.
        """
        cos, sin = rope_tables(positions, self.config.head_dim, self.config.rope_theta)
        rope = cos.to(x.dtype), sin.to(x.dtype)
        for index, layer in enumerate(self.layers):
            x = layer(x, num_gen, rope, index, context)
            if observe is not None:
                observe(index, x)
        return x
