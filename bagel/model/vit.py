"""The SigLIP tower and the connector: a picture -> rows of the language model. Source: golden README, section 2.4."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bagel.config import VitConfig
from bagel.model.attention import Attention, sdpa_attention

LAYER_NORM_EPS = 1e-6


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """An activation by its name in a checkpoint (`bagel.config.ACTIVATIONS`)."""
    match name:
        case "gelu_pytorch_tanh":
            return lambda x: F.gelu(x, approximate="tanh")
        case "gelu":
            return F.gelu
        case "silu":
            return F.silu
        case "relu":
            return F.relu
        case _:
            raise ValueError(f"unknown activation {name!r}")


def patchify(pixels: Tensor, patch: int) -> Tensor:
    """[3, h*P, w*P] -> [h*w, P*P*3]: patches row-major, each ordered (row, column, channel)."""
    channels, height, width = pixels.shape
    grid = pixels.reshape(channels, height // patch, patch, width // patch, patch)
    return grid.permute(1, 3, 2, 4, 0).reshape(-1, patch * patch * channels)


class VitLayer(nn.Module):
    """Pre-norm block with full attention inside the picture."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_heads
        self.norm1 = nn.LayerNorm(size, eps=LAYER_NORM_EPS)
        self.q = nn.Linear(size, size)
        self.k = nn.Linear(size, size)
        self.v = nn.Linear(size, size)
        self.out = nn.Linear(size, size)
        self.norm2 = nn.LayerNorm(size, eps=LAYER_NORM_EPS)
        self.fc1 = nn.Linear(size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, size)

    def forward(self, x: Tensor, attention: Attention) -> Tensor:
        h = self.norm1(x)
        heads = (x.shape[0], self.heads, -1)
        attended = attention(self.q(h).view(heads), self.k(h).view(heads), self.v(h).view(heads), causal=False)
        x = x + self.out(attended.reshape(x.shape))
        h = F.gelu(self.fc1(self.norm2(x)), approximate="tanh")
        out: Tensor = x + self.fc2(h)
        return out


class VitTower(nn.Module):
    """Patches with their position ids -> features [m, D] after post_layernorm."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Linear(config.num_channels * config.patch_size**2, config.hidden_size)
        self.position_embedding = nn.Embedding(config.num_positions, config.hidden_size)
        self.layers = nn.ModuleList(VitLayer(config) for _ in range(config.num_layers))
        self.post_norm = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS)

    def forward(
        self,
        patches: Tensor,
        position_ids: Tensor,
        observe: Callable[[str, Tensor], None] | None = None,
        attention: Attention = sdpa_attention,
    ) -> Tensor:
        """patches [m, P*P*3], position_ids [m] -> [m, D]. `observe(name, rows)` sees `embed` and `layer0`.

        `attention` decides who sees whom: by default all rows are one picture.
        """
        x = self.patch_embedding(patches.to(self.patch_embedding.weight.dtype))
        x = x + self.position_embedding(position_ids)
        if observe is not None:
            observe("embed", x)
        for index, layer in enumerate(self.layers):
            x = layer(x, attention)
            if observe is not None and index == 0:
                observe("layer0", x)
        out: Tensor = self.post_norm(x)
        return out


class Connector(nn.Module):
    """ViT features [m, D] -> language model width [m, H]."""

    def __init__(self, vit_size: int, hidden: int, act: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vit_size, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


def pixels_tensor(rgb: bytes, height: int, width: int) -> Tensor:
    """Interleaved RGB bytes -> [3, H, W] float32 in [-1, 1]: x/255, then (x - 0.5)/0.5."""
    flat = torch.frombuffer(bytearray(rgb), dtype=torch.uint8)
    return (flat.view(height, width, 3).permute(2, 0, 1).float() / 255.0 - 0.5) / 0.5
