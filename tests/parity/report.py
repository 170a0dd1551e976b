"""Comparing what was computed with what the official model gave, and the line that a case prints.

Tolerances: golden README, sections 7 and 12. They are constants here, never read from a folder.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

ATOL = RTOL = 1e-4
ENCODER_ATOL, ENCODER_RTOL = 2e-4, 1e-5
U8_MAX, U8_FRACTION = 1, 0.001
DRIFT_FACTOR = 2.0

# First prefix or part that fits names the kind; the drift table of a manifest has the kinds of the second column.
_KINDS = (
    ("steps.x", "latents", "latent"), ("steps.v", "velocities", "velocity"), ("cfg_steps.v", "velocities", "velocity"),
    ("step0.llm2vae", "velocities", "velocity"), ("latent.final", "latents", "latent"),
    ("latent.unpatchified", "latents", "latent"), ("image.decoded", "picture", "picture"),
    ("think.logits", "logits", "think_logits"), ("decode.logits", "logits", "logits"),
    ("decode.k_new", "kv", "kv"), ("decode.v_new", "kv", "kv"), ("prefill.k", "kv", "kv"), ("prefill.v", "kv", "kv"),
    ("ctx.", "kv", "kv"), ("vit", "vit", "vit"), ("vae", "vae", None), ("encode.", "vae", None),
    ("decode.", "vae", None), ("random.", "vae", None), ("timesteps", "times", None), ("steps.t", "times", None),
    ("steps.dt", "times", None), ("time.", "times", None), ("rope.", "rope", None),
)  # fmt: skip


@dataclass
class Report:
    """Checks of one case. `drift` switches to bf16: errors are then held against twice that drift."""

    name: str
    drift: dict[str, Any] | None = None
    errors: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    exact: int = 0
    rms: dict[str, float] = field(default_factory=dict)

    def close(self, name: str, ours: Tensor, expected: Tensor) -> None:
        """A float tensor within tolerance."""
        kind, drift_kind = _kind(name)
        ours = ours.detach().float().cpu()
        if ours.shape != expected.shape:
            self.problems.append(f"{name}: shape {list(ours.shape)}, expected {list(expected.shape)}")
            return
        difference = (ours - expected).abs()
        worst = float(difference.max()) if difference.numel() else 0.0
        worst = float("inf") if worst != worst else worst
        self.errors[kind] = max(self.errors.get(kind, 0.0), worst)
        if self.drift is not None:
            self._within_drift(drift_kind, ours, expected)
            return
        atol, rtol = (ENCODER_ATOL, ENCODER_RTOL) if name == "encode.mid" else (ATOL, RTOL)
        if not bool((difference <= atol + rtol * expected.abs()).all()):
            self.problems.append(f"{name}: largest difference {worst:.1e}")

    def picture(self, name: str, ours: Tensor, expected: Tensor) -> None:
        """uint8 pictures."""
        if ours.shape != expected.shape:
            self.problems.append(f"{name}: shape {list(ours.shape)}, expected {list(expected.shape)}")
            return
        difference = (ours.int() - expected.int()).abs()
        worst, fraction = int(difference.max()), float((difference > 0).float().mean())
        self.errors["u8"] = max(self.errors.get("u8", 0), worst)
        most, share = U8_MAX, U8_FRACTION
        if self.drift is not None:
            uint8 = self.drift.get("uint8", {"max": 0, "fraction_differing": 0})
            most, share = DRIFT_FACTOR * uint8["max"], min(1.0, DRIFT_FACTOR * uint8["fraction_differing"])
        if worst > most or fraction > share:
            self.problems.append(f"{name}: {fraction:.2%} of the values differ, by up to {worst}")

    def same(self, name: str, ours: object, expected: object) -> None:
        """Ids, texts, sizes, lengths, positions."""
        self.exact += 1
        if isinstance(ours, Tensor) and isinstance(expected, Tensor):
            equal = ours.shape == expected.shape and bool((ours.cpu() == expected).all())
        else:
            equal = ours == expected
        if not equal:
            self.problems.append(f"{name}: {_short(ours)}, expected {_short(expected)}")

    def missing(self, names: set[str]) -> None:
        """Expectations that nothing was compared with."""
        self.problems.extend(f"{name}: not computed" for name in sorted(names))

    @property
    def passed(self) -> bool:
        return not self.problems

    def line(self) -> str:
        kinds = "  ".join(f"{kind} {value:.1e}" for kind, value in self.errors.items())
        drifts = "  ".join(f"{kind}-rms/drift {value:.2f}" for kind, value in self.rms.items())
        verdict = "PASS" if self.passed else "FAIL"
        line = f"{verdict} {self.name:<26} {kinds}  exact {self.exact}"
        if drifts:
            line += f"  {drifts}"
        return line + "".join(f"\n       {problem}" for problem in self.problems[:8])

    def _within_drift(self, kind: str | None, ours: Tensor, expected: Tensor) -> None:
        """bf16: relative RMS and largest difference within twice the reference's own drift, where it states one."""
        assert self.drift is not None
        if kind is None or kind not in self.drift or not expected.numel():
            return
        rms = float((ours - expected).norm() / expected.norm().clamp_min(1e-12))
        ratio = rms / self.drift[kind]["relative_rms"]
        self.rms[kind] = max(self.rms.get(kind, 0.0), ratio)
        worst = float((ours - expected).abs().max()) / self.drift[kind]["max_abs"]
        if ratio > DRIFT_FACTOR or worst > DRIFT_FACTOR:
            self.problems.append(f"{kind}: {ratio:.2f} x the reference's rms drift, {worst:.2f} x its largest")


def _kind(name: str) -> tuple[str, str | None]:
    for prefix, kind, drift in _KINDS:
        if name.startswith(prefix):
            return kind, drift
    return "rows", None


def _short(value: object) -> str:
    text = str(value.tolist() if isinstance(value, torch.Tensor) else value)
    return text if len(text) < 120 else text[:117] + "..."
