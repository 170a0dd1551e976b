"""Parameters of a model as one flat vector, updated by Muon and AdamW in a few kernels.

The model computes with `weights` (bfloat16 on a GPU, as it is served); float32 masters are what is updated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from training.muon import Muon

ADAM_STATE = ("exp_avg", "exp_avg_sq", "step")
Named = tuple[str, nn.Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """Peak learning rates, of Muon for matrices inside layers and of AdamW for the rest."""

    muon_rate: float
    adam_rate: float
    weight_decay: float
    clip: float
    ema: float


class FlatParameters:
    """Masters, running averages and optimizer states; the parameters are views into `weights`.

    Matrices for Muon lie first, those of one shape side by side. A parameter with more than two dimensions counts as a
    matrix of its first dimension and all the others.
    """

    def __init__(
        self, named: Sequence[Named], is_inner: Callable[[str, Tensor], bool], settings: OptimizerSettings,
        dtype: torch.dtype,
    ) -> None:  # fmt: skip
        self.settings = settings
        named = sorted(named, key=lambda item: (not is_inner(*item), tuple(item[1].shape), item[0]))
        inner = [p for name, p in named if is_inner(name, p)]
        sizes = [_padded(p.numel()) for _, p in named]
        device = named[0][1].device
        self.master = torch.zeros(sum(sizes), device=device)
        for (_, parameter), piece in zip(named, torch.split(self.master, sizes), strict=True):
            piece[: parameter.numel()].copy_(parameter.detach().flatten())
        self.averaged = self.master.clone()
        self.weights = self.master.to(dtype)
        self.gradients = torch.zeros_like(self.weights)
        pieces = zip(torch.split(self.weights, sizes), torch.split(self.gradients, sizes), strict=True)
        for (_, parameter), (weights, gradients) in zip(named, pieces, strict=True):
            parameter.data = weights[: parameter.numel()].view(parameter.shape)
            parameter.requires_grad_(True)
            parameter.grad = gradients[: parameter.numel()].view(parameter.shape)
        self._inner_size = sum(p.numel() for p in inner)
        self._muon = Muon(self.master[: self._inner_size], _stacks(inner), weight_decay=settings.weight_decay)
        self._outer = self.master[self._inner_size :]
        cuda = device.type == "cuda"
        self._rate, self._forget = torch.zeros((), device=device), torch.zeros((), device=device)
        self._adam_rate = torch.zeros((), device=device)
        self._adam = torch.optim.AdamW(
            [self._outer], lr=self._adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=cuda, capturable=cuda
        )

    def update(self, step: int, rate: float) -> Tensor:
        """One step with the gradients at hand, learning rates scaled by `rate`; returns the gradients' norm."""
        self.schedule(step, rate)
        return self.apply()

    def schedule(self, step: int, rate: float) -> None:
        """Set what changes from step to step, where `apply` finds it."""
        self._rate.fill_(self.settings.muon_rate * rate)
        self._adam_rate.fill_(self.settings.adam_rate * rate)
        self._forget.fill_(1 - min(self.settings.ema, (1 + step) / (10 + step)))

    @torch.no_grad()
    def apply(self) -> Tensor:
        """What `update` does on the device, the same for every step, so that it can be captured as a CUDA graph."""
        gradients = self.gradients.float()
        norm: Tensor = torch.linalg.vector_norm(gradients)
        gradients *= torch.clamp(self.settings.clip / (norm + 1e-6), max=1.0)
        self._muon.step(gradients[: self._inner_size], self._rate)
        self._outer.grad = gradients[self._inner_size :]
        self._adam.step()
        self.weights.copy_(self.master)
        self.gradients.zero_()
        self.averaged.lerp_(self.master, self._forget)
        return norm

    @torch.no_grad()
    def show(self, values: Tensor) -> None:
        """Put `master` or `averaged` into the model."""
        self.weights.copy_(values)

    def state(self) -> dict[str, Tensor]:
        """Everything that `restore` needs to go on."""
        state = self._adam.state[self._outer]
        adam = {f"adam.{key}": state[key] for key in ADAM_STATE}
        return {"master": self.master, "averaged": self.averaged, "muon": self._muon.momentum, **adam}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on where `state` was taken."""
        self.master.copy_(state["master"])
        self.averaged.copy_(state["averaged"])
        self._muon.momentum.copy_(state["muon"])
        self._adam.state[self._outer] = {key: state[f"adam.{key}"].to(self.master.device) for key in ADAM_STATE}
        self.show(self.master)


def _padded(numel: int) -> int:
    """Parameters start at multiples of 64 numbers, as fast kernels like them."""
    return -(-numel // 64) * 64


def _stacks(parameters: list[nn.Parameter]) -> list[tuple[int, int, int]]:
    """(count, rows, columns) of the runs of equally shaped matrices."""
    assert all(p.numel() == _padded(p.numel()) for p in parameters), "a matrix for Muon has an odd size"
    runs = [(shape, len(list(run))) for shape, run in groupby(tuple(p.shape) for p in parameters)]
    return [(count, shape[0], torch.Size(shape[1:]).numel()) for shape, count in runs]
