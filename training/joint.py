"""Joint training of language and flow matching, resumable at any step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.batches import Batches
from training.model import ToyModel
from training.vae import schedule

Log = Callable[[int, dict[str, float]], None]
LOG_EVERY = 50
LEARNING_RATE = 1.5e-3
RECOMPILE_LIMIT = 64  # buckets and tasks differ in row counts


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSettings:
    """One run. Losses are weighted flow : text."""

    steps: int
    learning_rate: float = LEARNING_RATE
    warmup: int = 300
    weight_decay: float = 0.02
    text_weight: float = 0.5
    ema: float = 0.9992
    clip: float = 1.0
    seed: int = 11
    compile: bool = True


class JointTrainer:
    """Model, averaged weights, optimizer state and the step they are at."""

    def __init__(self, model: ToyModel, settings: JointSettings, device: torch.device) -> None:
        self.model, self.settings, self.device = model, settings, device
        model.requires_grad_(False)
        self._names, self._parameters = map(list, zip(*model.trained(), strict=True))
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        matrices = [p for n, p in zip(self._names, self._parameters, strict=True) if p.dim() > 1 and "embed" not in n]
        others = [p for n, p in zip(self._names, self._parameters, strict=True) if p.dim() < 2 or "embed" in n]
        self._optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=settings.learning_rate, betas=(0.9, 0.98), fused=device.type == "cuda",
        )  # fmt: skip
        self.averaged = [p.detach().clone() for p in self._parameters]
        self.step = 0
        if settings.compile:
            torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
            for layer in model.thinker.mot.layers:
                layer.compile(dynamic=True)
            for layer in model.thinker.vit.layers:
                layer.compile(dynamic=True)

    def run(self, batches: Batches, *, until_s: float, log: Log) -> bool:
        """Train until the last step or the monotonic time `until_s`; whether the run is complete."""
        s = self.settings
        started, first = time.monotonic(), self.step
        while self.step < s.steps:
            if time.monotonic() > until_s:
                return False
            rate = s.learning_rate * schedule(self.step, s.steps, s.warmup)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            bucket, groups = batches.draw(self.step, s.seed)
            with torch.autocast(self.device.type, torch.bfloat16):
                losses = self.model(groups)
            loss = losses.flow + s.text_weight * losses.text
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self._parameters, s.clip, foreach=True)
            self._optimizer.step()
            decay = min(s.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.averaged, [p.detach() for p in self._parameters], 1 - decay)
            if (self.step % LOG_EVERY == 0 and bucket.tokens == 256) or self.step == s.steps - 1:
                speed = (self.step - first + 1) / (time.monotonic() - started)
                values = {"flow": losses.flow, "text": losses.text, "norm": norm}
                log(self.step, {k: float(v.detach()) for k, v in values.items()} | {"rate": rate, "steps_per_s": speed})
            self.step += 1
        return True

    def use_averaged(self) -> list[Tensor]:
        """Put the averaged weights into the model; returns the trained ones for `restore`."""
        kept = [p.detach().clone() for p in self._parameters]
        self.restore(self.averaged)
        return kept

    @torch.no_grad()
    def restore(self, values: list[Tensor]) -> None:
        """Put `values` into the model."""
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)

    def save(self, path: Path) -> None:
        """Everything that `load` needs to go on."""
        tensors: dict[str, Tensor] = {"step": torch.tensor(self.step)}
        for name, parameter, mean in zip(self._names, self._parameters, self.averaged, strict=True):
            state = self._optimizer.state[parameter]
            tensors |= {f"value.{name}": parameter.detach(), f"mean.{name}": mean}
            tensors |= {f"adam.{key}.{name}": state[key] for key in ("exp_avg", "exp_avg_sq", "step")}
        save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, path)

    def load(self, path: Path) -> None:
        """Go on where `save` stopped."""
        tensors = load_file(path)
        self.step = int(tensors["step"])
        for index, (name, parameter) in enumerate(zip(self._names, self._parameters, strict=True)):
            parameter.data.copy_(tensors[f"value.{name}"])
            self.averaged[index].copy_(tensors[f"mean.{name}"])
            state = {key: tensors[f"adam.{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
            self._optimizer.state[parameter] = {
                **{key: value.to(self.device) for key, value in state.items()},
                "step": tensors[f"adam.step.{name}"].to(self.device),
            }
