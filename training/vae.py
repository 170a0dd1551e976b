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

Log = Callable[[int, dict[str, float]], None]
LOGVAR_RANGE = (-12.0, 6.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeSettings:
    """One run; `crop` pictures a step at 128 px, whole ones in proportion to their pixels."""

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 100
    batch_pixels: int = 64 * 128 * 128
    edge_weight: float = 0.5
    kl_weight: float = 4e-4
    ema: float = 0.998
    seed: int = 7


class Autoencoder(nn.Module):
    """Encoder, posterior sample, decoder."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """-> reconstruction, KL per latent number (scalar)."""
        mean, logvar = self.encoder(pixels)
        mean, logvar = mean.float(), logvar.float().clamp(*LOGVAR_RANGE)
        kl = 0.5 * (mean.pow(2) + logvar.exp() - 1.0 - logvar).mean()
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(z), kl


def train_vae(model: Autoencoder, pools: list[Tensor], settings: VaeSettings, log: Log) -> None:
    """Train in place on pools of pictures [n, H, W, 3] uint8; the model ends with its averaged weights."""
    torch.manual_seed(settings.seed)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=parameters[0].is_cuda
    )
    averaged = [p.detach().clone() for p in parameters]
    device = parameters[0].device
    for step, pixels in enumerate(_batches(pools, settings, device)):
        rate = settings.learning_rate * schedule(step, settings.steps, settings.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16):
            output, kl = model(pixels)
        output = output.float()
        reconstruction = F.l1_loss(output, pixels)
        edges = _edge_loss(output, pixels)
        loss = reconstruction + settings.edge_weight * edges + settings.kl_weight * kl
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        decay = min(settings.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(averaged, [p.detach() for p in parameters], 1 - decay)
        if step % 50 == 0 or step == settings.steps - 1:
            psnr = 10 * torch.log10(4.0 / F.mse_loss(output.detach(), pixels))
            values = {"l1": reconstruction, "edges": edges, "kl": kl, "psnr": psnr}
            log(step, {key: float(value.detach()) for key, value in values.items()})
    with torch.no_grad():
        for parameter, mean in zip(parameters, averaged, strict=True):
            parameter.copy_(mean)


def schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a cosine down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def to_pixels(images: Tensor) -> Tensor:
    """[n, H, W, 3] uint8 -> [n, 3, H, W] float32 in [-1, 1], channels last in memory."""
    pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
    return pixels.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def encode(encoder: Encoder, images: Tensor, batch_pixels: int) -> tuple[Tensor, Tensor]:
    """[n, H, W, 3] uint8 -> posterior means and deviations, each [n, z, H/8, W/8] float16 on the images' device."""
    size = max(1, batch_pixels // (images.shape[1] * images.shape[2]))
    means, deviations = [], []
    for part in images.split(size):
        mean, logvar = encoder(to_pixels(part))
        means.append(mean.half().contiguous())
        deviations.append(torch.exp(0.5 * logvar.clamp(*LOGVAR_RANGE)).half().contiguous())
    return torch.cat(means), torch.cat(deviations)


def _edge_loss(output: Tensor, pixels: Tensor) -> Tensor:
    down = F.l1_loss(output.diff(dim=2), pixels.diff(dim=2))
    across = F.l1_loss(output.diff(dim=3), pixels.diff(dim=3))
    return down + across


def _batches(pools: list[Tensor], settings: VaeSettings, device: torch.device) -> Iterator[Tensor]:
    """Whole pictures of a random pool, or in half of the steps 128 px crops of it."""
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.steps):
        pool = pools[int(torch.randint(len(pools), (1,), generator=generator))]
        height, width = int(pool.shape[1]), int(pool.shape[2])
        top, left = 0, 0
        if min(height, width) > 128 and float(torch.rand((), generator=generator)) < 0.5:
            top = 16 * int(torch.randint((height - 128) // 16 + 1, (1,), generator=generator))
            left = 16 * int(torch.randint((width - 128) // 16 + 1, (1,), generator=generator))
            height = width = 128
        count = max(1, settings.batch_pixels // (height * width))
        index = torch.randint(pool.shape[0], (count,), generator=generator).to(pool.device)
        yield to_pixels(pool[index, top : top + height, left : left + width].to(device))
