"""The corpus on the device, ready to be drawn from: texts, patches, and latents once the VAE is there."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bagel.model.vae import Encoder
from training.buckets import BASE, BUCKETS, CHUNK, TEXTS, Bucket
from training.corpus import Chunk, Part
from training.vae import encode

READERS = 8
READ_AHEAD = 24  # chunks in memory
PICTURES = ("pixels", "source")  # what the VAE alone reads
ENCODE_PIXELS = 64 * 256 * 256
Say = Callable[[str], None]


def all_chunks(scale: float = 1.0) -> list[Chunk]:
    """Every chunk of the corpus, the ones that the VAE learns from first. `scale` shrinks everything, for trials."""

    def count(pictures: int) -> int:
        return max(1, round(pictures * scale / CHUNK)) if pictures else 0

    chunks = [Chunk(Part.SCENES, number, b) for b in BUCKETS for number in range(count(b.scenes))]
    chunks += [Chunk(Part.VIEWS, number, b) for b in BUCKETS for number in range(count(b.views))]
    chunks += [Chunk(Part.EDITS, number, b) for b in BUCKETS for number in range(count(b.edits))]
    chunks += [Chunk(Part.TEXTS, number) for number in range(count(TEXTS))]
    return sorted(chunks, key=lambda chunk: (not is_for_vae(chunk), chunk.number))


def is_for_vae(chunk: Chunk) -> bool:
    """Whether the VAE learns from a chunk's pictures: the first chunks of scenes of every size."""
    if chunk.part is not Part.SCENES or chunk.bucket is None:
        return False
    return chunk.number < (12 if chunk.bucket.tokens <= 256 else 3)


def vae_pools(folder: Path, chunks: list[Chunk], device: torch.device) -> list[Tensor]:
    """Pictures for the VAE, a pool [n, H, W, 3] uint8 a bucket; base-sized ones come four times as often."""
    by_bucket: dict[str, list[Tensor]] = {}
    for chunk in filter(is_for_vae, chunks):
        with np.load(folder / f"{chunk.name}.npz") as file:
            by_bucket.setdefault(chunk.name.split("-")[1], []).append(torch.from_numpy(file["pixels"]).to(device))
    pools = {name: torch.cat(parts) for name, parts in by_bucket.items()}
    return [*pools.values(), *([pools[BASE.name]] * 4)]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Arrays of one part of one bucket on the device, all with the same first dimension."""

    bucket: Bucket | None
    arrays: dict[str, Tensor]

    @property
    def count(self) -> int:
        """Samples on the shelf."""
        return int(next(iter(self.arrays.values())).shape[0])


def encode_corpus(folder: Path, chunks: list[Chunk], encoder: Encoder, device: torch.device, say: Say) -> None:
    """Write `latents-PART-BUCKET.safetensors` for all pictures: means and deviations [n, z, h, w] float16."""
    for (part, bucket), own in _shelves(chunks).items():
        if bucket is None or part is Part.VIEWS:
            continue
        found: dict[str, list[Tensor]] = {}
        for images in _read(folder, own, pictures=True):
            for key, pixels in images.items():
                mean, deviation = encode(encoder, pixels.to(device), ENCODE_PIXELS)
                found.setdefault(f"{key}.mean", []).append(mean.cpu())
                found.setdefault(f"{key}.std", []).append(deviation.cpu())
        save_file(
            {k: torch.cat(v) for k, v in found.items()}, folder / f"latents-{part.value}-{bucket.name}.safetensors"
        )
        say(f"encoded {part.value} {bucket.name}: {sum(v.shape[0] for v in found['pixels.mean'])} pictures")


def load_shelves(folder: Path, chunks: list[Chunk], device: torch.device) -> dict[tuple[Part, str], Shelf]:
    """Texts, patches and latents of everything, by part and bucket name (`all` for texts)."""
    shelves = {}
    for (part, bucket), own in _shelves(chunks).items():
        arrays: dict[str, Tensor] = {}
        for index, found in enumerate(_read(folder, own, pictures=False)):
            for key, value in found.items():
                count = value.shape[0]
                if index == 0:  # room for the whole shelf: to join the chunks afterwards would need it twice
                    shape = (len(own) * count, *value.shape[1:])
                    arrays[key] = torch.empty(shape, dtype=value.dtype, device=device)
                arrays[key][index * count : (index + 1) * count].copy_(value)
        if bucket is not None and part is not Part.VIEWS:
            path = folder / f"latents-{part.value}-{bucket.name}.safetensors"
            arrays |= load_file(path, device=str(device))
        shelves[part, bucket.name if bucket else "all"] = Shelf(bucket, arrays)
    return shelves


def latent_statistics(folder: Path) -> tuple[float, float]:
    """(scale_factor, shift_factor) that make the base bucket's latents zero-mean with unit deviation."""
    latents = load_file(folder / f"latents-{Part.SCENES.value}-{BASE.name}.safetensors")
    mean, std = latents["pixels.mean"].float(), latents["pixels.std"].float()
    variance = mean.var() + std.pow(2).mean()
    return float(variance.rsqrt()), float(mean.mean())


def _shelves(chunks: list[Chunk]) -> dict[tuple[Part, Bucket | None], list[Chunk]]:
    shelves: dict[tuple[Part, Bucket | None], list[Chunk]] = {}
    for chunk in chunks:
        shelves.setdefault((chunk.part, chunk.bucket), []).append(chunk)
    return shelves


def _read(folder: Path, chunks: list[Chunk], *, pictures: bool) -> Iterator[dict[str, Tensor]]:
    """Each chunk's pictures, or everything else, in order."""

    def one(chunk: Chunk) -> dict[str, Tensor]:
        with np.load(folder / f"{chunk.name}.npz") as file:
            return {key: torch.from_numpy(file[key]) for key in file.files if (key in PICTURES) is pictures}

    with ThreadPoolExecutor(READERS) as pool:
        ahead: deque[Future[dict[str, Tensor]]] = deque()
        for chunk in chunks:
            ahead.append(pool.submit(one, chunk))
            if len(ahead) > READ_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
