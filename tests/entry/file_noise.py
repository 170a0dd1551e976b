"""Noise read from a file: tensors `REQUEST/vaeJ.posterior_noise` and `REQUEST/noise.init`."""

import argparse
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor


class FileNoise:
    """A NoiseSource over one safetensors file."""

    def __init__(self, path: Path) -> None:
        self._tensors = load_file(path)

    def posterior(self, request_id: str, image_index: int, digest: bytes, shape: tuple[int, ...]) -> Tensor:
        return self._take(f"{request_id}/vae{image_index}.posterior_noise", shape)

    def start(self, request_id: str, seed: int, shape: tuple[int, ...]) -> Tensor:
        return self._take(f"{request_id}/noise.init", shape)

    def _take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        noise = self._tensors[name]
        assert tuple(noise.shape) == tuple(shape), f"{name} is {tuple(noise.shape)}, {tuple(shape)} is needed"
        return noise


def add_noise_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--test-noise", type=Path, required=True, help="safetensors file of noise by request")
