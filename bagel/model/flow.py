"""Flow matching: timesteps, guidance, the Euler loop. Plain tensors in and out; no model, no cache.

Source: golden README, section 5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bagel.settings import Guidance, Renorm, SamplerSettings

RATIO_EPS = 1e-8


@dataclass(frozen=True, slots=True)
class Velocities:
    """Velocities of one evaluation, each [m, C] float32; absent where guidance needs none."""

    gen: Tensor
    cfg_text: Tensor | None = None
    cfg_img: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One Euler step as it was taken: the state before it and the velocity after guidance, [m, C] float32."""

    index: int
    t: float
    x: Tensor
    velocity: Tensor


def timesteps(num_timesteps: int, shift: float) -> Tensor:
    """[N] float32 on the CPU, from 1 to 0: s*T / (1 + (s-1)*T) for T = linspace(1, 0, N)."""
    t = torch.linspace(1, 0, num_timesteps)
    return shift * t / (1 + (shift - 1) * t)


def in_interval(t: Tensor, interval: tuple[float, float]) -> bool:
    """Whether guidance is on at t (a float32 scalar tensor on the CPU): lo < t <= hi, compared in float32."""
    low, high = torch.tensor(interval, dtype=torch.float32)
    return bool((t > low) & (t <= high))


def guide(v: Velocities, guidance: Guidance) -> Tensor:
    """The velocity after guidance, [m, C]. With a text scale of 1 the picture scale has no effect."""
    if guidance.text_scale <= 1.0 or v.cfg_text is None:
        return v.gen
    guided = v.cfg_text + guidance.text_scale * (v.gen - v.cfg_text)
    match guidance.renorm:
        case Renorm.TEXT_CHANNEL:
            guided = guided * _ratio(v.gen, guided, guidance.renorm_min, per_token=True)
            return _add_image_guidance(guided, v.cfg_img, guidance.image_scale)
        case Renorm.GLOBAL:
            guided = _add_image_guidance(guided, v.cfg_img, guidance.image_scale)
            return guided * _ratio(v.gen, guided, guidance.renorm_min, per_token=False)
        case Renorm.CHANNEL:
            guided = _add_image_guidance(guided, v.cfg_img, guidance.image_scale)
            return guided * _ratio(v.gen, guided, guidance.renorm_min, per_token=True)


def euler_steps(
    x: Tensor, settings: SamplerSettings, velocity: Callable[[Tensor, Tensor, bool], Velocities]
) -> Iterator[tuple[Step, Tensor]]:
    """Denoise x [m, C] float32: yields each step and the state after it, `num_timesteps - 1` times.

    `velocity(x, t, guided)` evaluates the model at t, a float32 scalar tensor on the CPU; `guided` says whether the
    guidance branches are wanted.
    """
    times = timesteps(settings.num_timesteps, settings.timestep_shift)
    for index in range(settings.num_timesteps - 1):
        t = times[index]
        guided = settings.guidance.needs_cfg_text and in_interval(t, settings.guidance.interval)
        velocities = velocity(x, t, guided)
        v = guide(velocities, settings.guidance) if guided else velocities.gen
        step = Step(index=index, t=float(t), x=x, velocity=v)
        x = x - v * (times[index] - times[index + 1]).item()
        yield step, x


def _add_image_guidance(guided: Tensor, cfg_img: Tensor | None, scale: float) -> Tensor:
    if scale <= 1.0 or cfg_img is None:
        return guided
    return cfg_img + scale * (guided - cfg_img)


def _ratio(reference: Tensor, guided: Tensor, least: float, *, per_token: bool) -> Tensor:
    """clamp(|reference| / (|guided| + 1e-8), least, 1), per token [m, 1] or over everything [1, 1]."""
    dims = (-1,) if per_token else (-2, -1)
    ratio = torch.linalg.vector_norm(reference, dim=dims, keepdim=True)
    ratio = ratio / (torch.linalg.vector_norm(guided, dim=dims, keepdim=True) + RATIO_EPS)
    clamped: Tensor = ratio.clamp(min=least, max=1.0)
    return clamped
