"""How latents and times become rows of the language model, and the order of everything in them.

Source: golden README, sections 1 (tables), 2.5 (tokens) and 2.6 (time).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TIME_FEATURES = 256
MAX_PERIOD = 10000.0


def grid_position_ids(rows: int, columns: int, side: int) -> Tensor:
    """[rows * columns] int64 ids r * side + c; `side` is the table's side, not the picture's width."""
    r, c = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (r * side + c).flatten()


def latent_to_tokens(latent: Tensor, patch: int) -> Tensor:
    """[z, p*h, p*w] -> [h*w, p*p*z]: tokens row-major, each ordered (row, column, channel)."""
    z, height, width = latent.shape
    grid = latent.reshape(z, height // patch, patch, width // patch, patch)
    return grid.permute(1, 3, 2, 4, 0).reshape(-1, patch * patch * z)


def tokens_to_latent(tokens: Tensor, rows: int, columns: int, patch: int) -> Tensor:
    """The inverse of `latent_to_tokens`: [h*w, p*p*z] -> [z, p*h, p*w]."""
    grid = tokens.reshape(rows, columns, patch, patch, -1)
    return grid.permute(4, 0, 2, 1, 3).reshape(-1, rows * patch, columns * patch)


def time_features(t: Tensor) -> Tensor:
    """[n] float32 in [0, 1] -> [n, 256]: cosines first; t is not multiplied by anything."""
    half = TIME_FEATURES // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device)
    frequencies = torch.exp(-math.log(MAX_PERIOD) * steps / half)
    angles = t.float()[:, None] * frequencies[None, :]
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def sincos_table(side: int, channels: int) -> Tensor:
    """[side^2, channels] float32 of the fixed tables, for dummy weights: columns in the first half, rows in the second.

    Real checkpoints store the tables; read them from the file.
    """
    quarter = channels // 4
    frequencies = 1.0 / 10000.0 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = torch.arange(side, dtype=torch.float64)[:, None] * frequencies[None, :]
    axis = torch.cat((angles.sin(), angles.cos()), dim=1)  # [side, channels / 2]
    columns = axis[None, :, :].expand(side, side, -1)
    rows = axis[:, None, :].expand(side, side, -1)
    return torch.cat((columns, rows), dim=-1).reshape(side * side, -1).float()


class LatentEmbedder(nn.Module):
    """Latent tokens -> language model rows: vae2llm(token) + time(t) + latent_pos_embed[id]."""

    def __init__(self, token_channels: int, hidden: int, table_rows: int) -> None:
        super().__init__()
        self.vae2llm = nn.Linear(token_channels, hidden)
        self.time_in = nn.Linear(TIME_FEATURES, hidden)
        self.time_out = nn.Linear(hidden, hidden)
        self.pos_embed = nn.Parameter(torch.empty(table_rows, hidden))

    def time_embedding(self, t: Tensor) -> Tensor:
        """[n] float32 -> [n, H]."""
        features = time_features(t).to(self.time_in.weight.dtype)
        out: Tensor = self.time_out(F.silu(self.time_in(features)))
        return out

    def forward(self, tokens: Tensor, t: Tensor, position_ids: Tensor) -> Tensor:
        """tokens [m, C], t [1], position_ids [m] -> [m, H]. A clean context picture has t = 0, which is not nothing."""
        rows = self.vae2llm(tokens.to(self.vae2llm.weight.dtype))
        out: Tensor = rows + self.time_embedding(t) + self.pos_embed[position_ids]
        return out
