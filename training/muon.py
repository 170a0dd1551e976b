"""Muon for the matrices inside layers: momentum whose singular values are set to one.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the update matched in size
to AdamW's as in Liu et al., "Muon is scalable for LLM training" (2025). Matrices of one shape are worked on together:
torch's own Muon takes them one by one, which for many small ones is mostly launching.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ADAM_RMS = 0.2  # typical root mean square of AdamW's update at learning rate 1


class Muon:
    """State for float32 matrices that lie in one flat vector: `stacks` gives (count, rows, columns) in its order."""

    def __init__(self, flat: Tensor, stacks: Sequence[tuple[int, int, int]], *, weight_decay: float) -> None:
        self._flat, self._stacks, self._weight_decay = flat, stacks, weight_decay
        self.momentum = torch.zeros_like(flat)

    @torch.no_grad()
    def step(self, gradients: Tensor, learning_rate: Tensor) -> None:
        """One update in place, from gradients laid out as the matrices are; the rate is a scalar on their device."""
        self.momentum.lerp_(gradients, 1 - MOMENTUM)
        ahead = gradients.lerp(self.momentum, MOMENTUM)
        self._flat.mul_(1 - learning_rate * self._weight_decay)
        sizes = [count * rows * columns for count, rows, columns in self._stacks]
        for matrices, target, stack in zip(
            torch.split(ahead, sizes), torch.split(self._flat, sizes), self._stacks, strict=True
        ):
            size = ADAM_RMS * max(stack[1:]) ** 0.5
            target.view(stack).sub_(orthogonalised(matrices.view(stack)).float() * (learning_rate * size))


def orthogonalised(matrices: Tensor) -> Tensor:
    """[n, r, c] -> bfloat16 of nearly the same singular vectors and singular values near one."""
    a, b, c = COEFFICIENTS
    x: Tensor = matrices.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
