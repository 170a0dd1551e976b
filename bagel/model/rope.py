"""Rotary positions, half-split form. Source: golden README, section 2.2."""

import torch
from torch import Tensor


def rope_tables(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each [N, head_dim] float32, for positions [N] (any integer type)."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    # Multiplied by the rounded inverse, as the original does: at large positions a division gives other angles.
    angles = positions.float()[:, None] * (1.0 / theta**exponents)[None, :]  # [N, d/2]
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [N, heads, d] by tables [N, d]: (a, b) -> (a cos - b sin, b cos + a sin)."""
    a, b = x.chunk(2, dim=-1)
    return x * cos[:, None, :] + torch.cat((-b, a), dim=-1) * sin[:, None, :]
