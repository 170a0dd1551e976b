"""The FLUX autoencoder. Runs in float32, as in the official demo. Source: golden README, section 2.5."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bagel.config import VaeConfig

NORM_GROUPS = 32
NORM_EPS = 1e-6


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(NORM_GROUPS, channels, eps=NORM_EPS)


class ResBlock(nn.Module):
    """conv2(SiLU(norm2(conv1(SiLU(norm1 x))))) + shortcut."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm1 = _norm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm2 = _norm(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        if channels_in != channels_out:
            self.nin_shortcut = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        shortcut: Tensor = x if self.conv1.in_channels == self.conv1.out_channels else self.nin_shortcut(x)
        out: Tensor = shortcut + h
        return out


class AttnBlock(nn.Module):
    """One head over all positions, scale 1/sqrt(channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        rows = [conv(h).flatten(2).transpose(1, 2)[:, None] for conv in (self.q, self.k, self.v)]  # [B, 1, hw, C]
        attended = F.scaled_dot_product_attention(rows[0], rows[1], rows[2])
        out: Tensor = x + self.proj_out(attended[:, 0].transpose(1, 2).reshape(x.shape))
        return out


class Mid(nn.Module):
    """Residual, attention, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels)
        self.attn_1 = AttnBlock(channels)
        self.block_2 = ResBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Downsample(nn.Module):
    """Zeros at the bottom and right only, then a 3x3 convolution with stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class DownLevel(nn.Module):
    """The residual blocks of one resolution and, except at the last, the way to the next."""

    def __init__(self, channels_in: int, channels_out: int, blocks: int, *, resample: bool) -> None:
        super().__init__()
        self.block = _res_blocks(channels_in, channels_out, blocks)
        self.downsample = Downsample(channels_out) if resample else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class UpLevel(nn.Module):
    """The residual blocks of one resolution and, except at level 0, the way to the next larger one."""

    def __init__(self, channels_in: int, channels_out: int, blocks: int, *, resample: bool) -> None:
        super().__init__()
        self.block = _res_blocks(channels_in, channels_out, blocks)
        self.upsample = Upsample(channels_out) if resample else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return x if self.upsample is None else self.upsample(x)


class Encoder(nn.Module):
    """Pixels [B, 3, H, W] -> (mean, logvar), each [B, z, H/8, W/8]."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.channels * m for m in config.channel_multipliers]
        self.conv_in = nn.Conv2d(config.in_channels, config.channels, 3, padding=1)
        befores = [config.channels, *widths]
        self.down = nn.ModuleList(
            DownLevel(befores[i], width, config.num_res_blocks, resample=i < len(widths) - 1)
            for i, width in enumerate(widths)
        )
        self.mid = Mid(widths[-1])
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.z_channels, 3, padding=1)

    def forward(self, pixels: Tensor, observe: Callable[[Tensor], None] | None = None) -> tuple[Tensor, Tensor]:
        """`observe` sees the features after the mid blocks."""
        x = self.conv_in(pixels)
        for level in self.down:
            x = level(x)
        x = self.mid(x)
        if observe is not None:
            observe(x)
        mean, logvar = self.conv_out(F.silu(self.norm_out(x))).chunk(2, dim=1)
        return mean, logvar


class Decoder(nn.Module):
    """Latent [B, z, h, w] (already unscaled) -> picture [B, 3, 8h, 8w], not clamped."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.channels * m for m in config.channel_multipliers]
        befores = [*widths[1:], widths[-1]]
        self.conv_in = nn.Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Mid(widths[-1])
        # up.I is the level of resolution I, so the last runs first.
        self.up = nn.ModuleList(
            UpLevel(befores[i], width, config.num_res_blocks + 1, resample=i > 0) for i, width in enumerate(widths)
        )
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def forward(self, latent: Tensor, observe: Callable[[Tensor], None] | None = None) -> Tensor:
        """`observe` sees the features after the mid blocks."""
        x = self.mid(self.conv_in(latent))
        if observe is not None:
            observe(x)
        for level in reversed(self.up):
            x = level(x)
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out


def _res_blocks(channels_in: int, channels_out: int, blocks: int) -> nn.ModuleList:
    return nn.ModuleList(ResBlock(channels_in if i == 0 else channels_out, channels_out) for i in range(blocks))


def sample_latent(mean: Tensor, logvar: Tensor, noise: Tensor, config: VaeConfig) -> Tensor:
    """The posterior sample, scaled: scale_factor * (mean + exp(logvar/2) * noise - shift_factor)."""
    z = mean + torch.exp(0.5 * logvar) * noise
    return config.scale_factor * (z - config.shift_factor)


def unscale_latent(latent: Tensor, config: VaeConfig) -> Tensor:
    """What the decoder takes: latent / scale_factor + shift_factor."""
    return latent / config.scale_factor + config.shift_factor


def to_uint8(decoded: Tensor) -> Tensor:
    """[1, 3, H, W] -> [H, W, 3] uint8: (y*0.5 + 0.5) clamped, times 255, truncated."""
    return ((decoded[0] * 0.5 + 0.5).clamp(0, 1) * 255).permute(1, 2, 0).to(torch.uint8)
