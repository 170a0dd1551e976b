"""Where a picture's noise comes from, so that a picture depends on nothing but its request.

Generators are torch's on the CPU whatever the device: replicas and batch mates draw the same numbers.
"""

from typing import Protocol

import torch
from torch import Tensor

SEED_MASK = 2**63 - 1


class NoiseSource(Protocol):
    """Draws the two kinds of noise a request needs, float32 on the CPU."""

    def posterior(self, request_id: str, image_index: int, digest: bytes, shape: tuple[int, ...]) -> Tensor:
        """Noise of a context picture's VAE posterior, [1, z, h, w]; `digest` is that of the resized picture."""
        ...

    def start(self, request_id: str, seed: int, shape: tuple[int, ...]) -> Tensor:
        """Noise that denoising starts from, [m, C]."""
        ...


class SeededNoise:
    """The product's source: the picture's digest seeds its posterior, the request's seed its start noise."""

    def posterior(self, request_id: str, image_index: int, digest: bytes, shape: tuple[int, ...]) -> Tensor:
        return _normal(int.from_bytes(digest[:8], "big") & SEED_MASK, shape)

    def start(self, request_id: str, seed: int, shape: tuple[int, ...]) -> Tensor:
        return _normal(seed, shape)


def _normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float32)
