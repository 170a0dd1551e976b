"""Joint training of language and flow matching, resumable at any step."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.batches import Batches, Plan
from training.buckets import BASE
from training.captured import CapturedSteps, Step
from training.flat import FlatParameters, OptimizerSettings
from training.model import ToyModel, compute_dtype
from training.vae import schedule

Log = Callable[[int, dict[str, float]], None]
LOG_EVERY = 50
LOGGED = ("flow", "text", "norm")
RECOMPILE_LIMIT = 64  # buckets and tasks differ in row counts


OPTIMIZER = OptimizerSettings(muon_rate=5e-3, adam_rate=1.5e-3, weight_decay=0.02, clip=1.0, ema=0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSettings:
    """One run, of so many steps or so many seconds, whichever is over first. Losses are weighted flow : text."""

    steps: int
    budget_s: float = math.inf
    optimizer: OptimizerSettings = OPTIMIZER
    warmup: int = 200
    text_weight: float = 0.5
    seed: int = 11
    compile: bool = True


class JointTrainer:
    """A model, its flat parameters, and the step they are at."""

    def __init__(self, model: ToyModel, settings: JointSettings, device: torch.device) -> None:
        self.model, self.settings, self.device = model, settings, device
        model.requires_grad_(False)
        # The masters are taken before the model is cast.
        trained = [(name, nn.Parameter(p.detach().float().clone())) for name, p in model.trained()]
        model.cast(compute_dtype(device))
        self.flat = FlatParameters(trained, _is_inner, settings.optimizer, compute_dtype(device))
        for (_, parameter), (_, flat) in zip(model.trained(), trained, strict=True):
            parameter.data, parameter.grad = flat.data, None
            parameter.requires_grad_(True)
            parameter.grad = flat.grad
        self.step, self.spent_s = 0, 0.0
        if settings.compile:
            torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
            for layer in (*model.thinker.mot.layers, *model.thinker.vit.layers):
                layer.compile(dynamic=True)

    def run(self, batches: Batches, *, until_s: float, log: Log) -> bool:
        """Train until the run is complete or the monotonic time `until_s`; whether it is complete."""
        if self.device.type != "cuda":
            return self._run(batches, partial(self._work, batches), until_s, log)
        steps = CapturedSteps(partial(self._work, batches), len(LOGGED), self.device)
        with torch.cuda.stream(steps.stream):
            done = self._run(batches, steps, until_s, log)
        steps.stream.synchronize()
        return done

    def _run(self, batches: Batches, work: Step, until_s: float, log: Log) -> bool:
        s = self.settings
        started, first, before_s = time.monotonic(), self.step, self.spent_s
        while self.step < s.steps and self.spent_s < s.budget_s:
            if time.monotonic() > until_s:
                return False
            rate = schedule(self.step, self._progress(), s.warmup)
            plan = batches.plan(self.step, s.seed)
            self.flat.schedule(self.step, rate)
            found = work(plan)
            if (self.step % LOG_EVERY == 0 and plan.bucket is BASE) or self.step == s.steps - 1:
                values = dict(zip(LOGGED, found.tolist(), strict=True))
                speed = (self.step - first + 1) / (time.monotonic() - started)
                log(self.step, values | {"rate": rate, "steps_per_s": speed})
            self.step, self.spent_s = self.step + 1, before_s + time.monotonic() - started
        return True

    def _work(self, batches: Batches, plan: Plan) -> Tensor:
        """All that a step does on the device -> what `LOGGED` names."""
        losses = self.model(batches.draw(plan))
        (losses.flow + self.settings.text_weight * losses.text).backward()
        norm = self.flat.apply()
        return torch.stack((losses.flow.detach(), losses.text.detach(), norm))

    def _progress(self) -> float:
        """By steps or by seconds, whichever is further: a slow machine too comes to the end of its schedule."""
        s = self.settings
        return max((self.step - s.warmup) / max(1, s.steps - s.warmup), self.spent_s / s.budget_s)

    def save(self, path: Path) -> None:
        """Everything that `load` needs to go on."""
        tensors = self.flat.state() | {"at": torch.tensor(self.step), "spent_s": torch.tensor(self.spent_s)}
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, path)

    def load(self, path: Path) -> None:
        """Go on where `save` stopped."""
        tensors = load_file(path)
        self.step, self.spent_s = int(tensors.pop("at")), float(tensors.pop("spent_s"))
        self.flat.restore(tensors)


def _is_inner(name: str, parameter: Tensor) -> bool:
    return ".layers." in name and parameter.dim() == 2
