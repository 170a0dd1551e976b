"""`python -m tests.entry.dit`: the DiT with `--test-noise` and `--test-dump`."""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from bagel.stage_flags import add_stage_flags, stage_config
from services.dit.__main__ import run_dit
from tests.entry.file_noise import FileNoise, add_noise_flag


class Dump:
    """Writes what the engine computed for a request to DIR/REQUEST.safetensors when its picture is decoded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._steps: dict[str, list[Tensor]] = {}
        self._tensors: dict[str, dict[str, Tensor]] = {}

    def __call__(self, request_id: str, name: str, value: Tensor) -> None:
        tensors = self._tensors.setdefault(request_id, {})
        if name == "steps.v":
            self._steps.setdefault(request_id, []).append(value)
        elif name.startswith("ctx.") or name in ("latent.final", "latent.unpatchified", "image.decoded"):
            tensors[name] = value.detach().cpu().clone().contiguous()
        if name == "image.decoded":
            tensors["steps.v"] = torch.stack(self._steps.pop(request_id)).cpu()
            save_file(self._tensors.pop(request_id), self._folder / f"{request_id}.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_stage_flags(parser)
    add_noise_flag(parser)
    parser.add_argument("--test-dump", type=Path, required=True, help="folder for tensors by request")
    options = parser.parse_args()
    sys.exit(run_dit(stage_config(options), FileNoise(options.test_noise), Dump(options.test_dump)))
