"""The trained model as a checkpoint in the official layout, whole or in shards that travel."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bagel.model.names import AE_FILE, EMA_FILE
from training.model import ToyModel
from training.tokenizer import TOKENIZER_FILE

SHARD_BYTES = 15_000_000
MANIFEST = "SHA256SUMS"
SCALE = "vae_scale"  # key of the shards' metadata: what makes the latents of their VAE zero-mean with unit deviation


def checkpoint_tensors(model: ToyModel) -> dict[str, Tensor]:
    """Every tensor of the official layout, bfloat16, on the CPU."""
    return {slot.name: slot.target.detach().to(torch.bfloat16).cpu().contiguous().clone() for slot in model.slots()}


def write_shards(model: ToyModel, scale: tuple[float, float], folder: Path) -> list[Path]:
    """Write `shard-N.safetensors` of at most 15 MB; `scale` is the VAE's (scale_factor, shift_factor)."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in checkpoint_tensors(model).items():
        if size + tensor.nbytes > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    paths = [folder / f"shard-{index}.safetensors" for index in range(len(shards))]
    for path, tensors in zip(paths, shards, strict=True):
        save_file(tensors, path, metadata={SCALE: json.dumps(scale)})
    return paths


def merge_shards(shards: Path, folder: Path) -> None:
    """A run's shards and tokenizer -> a checkpoint folder: weights, tokenizer, the VAE's numbers in `config.json`."""
    tensors: dict[str, Tensor] = {}
    for path in sorted(shards.glob("shard-*.safetensors")):
        tensors |= load_file(path)
    with safe_open(shards / "shard-0.safetensors", "pt") as file:
        scale, shift = json.loads(file.metadata()[SCALE])
    shutil.copyfile(shards / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    path = folder / "config.json"
    text = path.read_text(encoding="utf-8")
    config = json.loads(text)
    config["vae_config"] |= {"scale_factor": round(scale, 6), "shift_factor": round(shift, 6)}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    vae = {name: tensor for name, tensor in tensors.items() if name.startswith(("encoder.", "decoder."))}
    save_file(vae, folder / AE_FILE)
    save_file({name: tensor for name, tensor in tensors.items() if name not in vae}, folder / EMA_FILE)
    write_manifest(folder)


def write_manifest(folder: Path) -> None:
    """SHA-256 of every file of a checkpoint folder, as `sha256sum -c` reads it."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != MANIFEST)
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}" for p in files]
    (folder / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")
