"""Training the VAE: reconstruction, edges, a small KL term; afterwards the latents of the whole corpus.

Pictures are [B, 3, H, W] in [-1, 1] on the device. Works on `bagel.model.vae` modules alone.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bagel.model.vae import Decoder, Encoder
from training.flat import FlatParameters, OptimizerSettings

Log = Callable[[int, dict[str, float]], None]
LOGVAR_RANGE = (-12.0, 6.0)
CROP = 128


OPTIMIZER = OptimizerSettings(muon_rate=3e-3, adam_rate=2e-3, weight_decay=0.01, clip=1.0, ema=0.998)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeSettings:
    """One run; a step sees `batch_pixels` pixels."""

    steps: int
    optimizer: OptimizerSettings = OPTIMIZER
    warmup: int = 100
    batch_pixels: int = 32 * 128 * 128
    edge_weight: float = 0.5
    kl_weight: float = 1e-3
    crop_share: float = 0.65
    seed: int = 7


class Autoencoder(nn.Module):
    """Encoder, posterior sample, decoder."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """-> reconstruction, KL per latent number (scalar)."""
        mean, logvar = (x.float() for x in self.encoder(pixels))
        logvar = logvar.clamp(*LOGVAR_RANGE)
        kl = 0.5 * (mean.pow(2) + logvar.exp() - 1.0 - logvar).mean()
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(z.to(pixels.dtype)), kl


def train_vae(model: Autoencoder, pools: list[Tensor], settings: VaeSettings, log: Log) -> None:
    """Train in place on pools of pictures [n, H, W, 3] uint8; the model ends in float32 with its averaged weights."""
    torch.manual_seed(settings.seed)
    device = pools[0].device
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model.requires_grad_(False)
    flat = FlatParameters(list(model.named_parameters()), _is_inner, settings.optimizer, dtype)
    for step, pixels in enumerate(_batches(pools, settings)):
        output, kl = model(pixels.to(dtype))
        output = output.float()
        reconstruction, edges = F.l1_loss(output, pixels), _edge_loss(output, pixels)
        (reconstruction + settings.edge_weight * edges + settings.kl_weight * kl).backward()
        progress = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
        flat.update(step, schedule(step, progress, settings.warmup))
        if step % 100 == 0 or step == settings.steps - 1:
            psnr = 10 * torch.log10(4.0 / F.mse_loss(output.detach(), pixels))
            values = {"l1": reconstruction, "edges": edges, "kl": kl, "psnr": psnr}
            log(step, {key: float(value.detach()) for key, value in values.items()})
    flat.show(flat.averaged)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        parameter.data, parameter.grad = parameter.data.float().clone(), None


def _is_inner(name: str, parameter: Tensor) -> bool:
    return parameter.dim() == 4 and "conv_in" not in name and "conv_out" not in name


def schedule(step: int, progress: float, warmup: int) -> float:
    """Linear warm-up over `warmup` steps, then, as `progress` goes from 0 to 1, a cosine down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def to_pixels(images: Tensor) -> Tensor:
    """[n, H, W, 3] uint8 -> [n, 3, H, W] float32 in [-1, 1]."""
    return (images.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous()


@torch.no_grad()
def encode(encoder: Encoder, images: Tensor, batch_pixels: int) -> tuple[Tensor, Tensor]:
    """[n, H, W, 3] uint8 -> posterior means and deviations, each [n, z, H/8, W/8] float16 on the images' device."""
    size = max(1, batch_pixels // (images.shape[1] * images.shape[2]))
    means, deviations = [], []
    for part in torch.split(images, size):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
            mean, logvar = encoder(to_pixels(part))
        means.append(mean.half().contiguous())
        deviations.append(torch.exp(0.5 * logvar.float().clamp(*LOGVAR_RANGE)).half().contiguous())
    return torch.cat(means), torch.cat(deviations)


def _edge_loss(output: Tensor, pixels: Tensor) -> Tensor:
    down = F.l1_loss(output.diff(dim=2), pixels.diff(dim=2))
    across = F.l1_loss(output.diff(dim=3), pixels.diff(dim=3))
    return down + across


def _batches(pools: list[Tensor], settings: VaeSettings) -> Iterator[Tensor]:
    """Whole pictures of a random pool, or 128 px crops of them: of two crops the one with more in it."""
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.steps):
        pool = pools[int(torch.randint(len(pools), (1,), generator=generator))]
        height, width = int(pool.shape[1]), int(pool.shape[2])
        crop = min(height, width) > CROP and float(torch.rand((), generator=generator)) < settings.crop_share
        size = CROP * CROP if crop else height * width
        count = max(1, settings.batch_pixels // size)
        index = torch.randint(pool.shape[0], (2 * count if crop else count,), generator=generator).to(pool.device)
        if not crop:
            yield to_pixels(pool[index])
            continue
        top = 16 * int(torch.randint((height - CROP) // 16 + 1, (1,), generator=generator))
        left = 16 * int(torch.randint((width - CROP) // 16 + 1, (1,), generator=generator))
        pixels = to_pixels(pool[index, top : top + CROP, left : left + CROP])
        busy = pixels.flatten(1).std(dim=1).view(2, count).argmax(dim=0)
        yield pixels[busy * count + torch.arange(count, device=pixels.device)]
