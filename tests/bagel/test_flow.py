"""Flow matching: timesteps, the guidance interval, guidance against plain numpy, the Euler loop."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bagel.model.flow import Velocities, euler_steps, guide, in_interval, timesteps
from bagel.settings import Guidance, Renorm, SamplerSettings

EXACT_LOW = 0.4  # equals one of the timesteps for N = 12, s = 3, in float32 only


def _velocities(seed: int, *, tokens: int = 6, channels: int = 4) -> Velocities:
    generator = torch.Generator().manual_seed(seed)
    return Velocities(*(torch.randn(tokens, channels, generator=generator) for _ in range(3)))


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("points", [2, 3, 50])
def test_timesteps_run_from_one_to_zero_and_fall_all_the_way(points: int, shift: float) -> None:
    times = timesteps(points, shift)

    assert times.shape == (points,)
    assert times.dtype == torch.float32
    assert (times[0].item(), times[-1].item()) == (1.0, 0.0)
    assert bool((times[:-1] > times[1:]).all())


def test_a_shift_of_one_changes_nothing_and_a_larger_one_stays_longer_near_the_noise() -> None:
    assert torch.equal(timesteps(11, 1.0), torch.linspace(1, 0, 11))
    assert timesteps(11, 3.0)[5].item() == pytest.approx(3 * 0.5 / (1 + 2 * 0.5))


def test_the_lower_end_of_the_interval_is_compared_in_float32_and_strictly() -> None:
    times = timesteps(12, 3.0)
    on = [in_interval(t, (EXACT_LOW, 1.0)) for t in times]
    edge = [index for index, t in enumerate(times) if t == torch.tensor(EXACT_LOW)]

    assert len(edge) == 1
    assert times[edge[0]].item() > EXACT_LOW  # so a comparison in double precision would turn guidance on
    assert on == [index < edge[0] for index in range(12)]


def test_the_upper_end_of_the_interval_belongs_to_it() -> None:
    assert in_interval(torch.tensor(0.5), (0.0, 0.5))
    assert not in_interval(torch.tensor(0.5001), (0.0, 0.5))
    assert in_interval(torch.tensor(1.0), (0.4, 1.0))
    assert not in_interval(torch.tensor(0.0), (0.0, 1.0))


@pytest.mark.parametrize("text_scale", [0.0, 0.5, 1.0])
def test_a_text_scale_of_one_or_less_returns_the_plain_velocity(text_scale: float) -> None:
    v = _velocities(1)

    assert torch.equal(guide(v, Guidance(text_scale=text_scale, image_scale=5.0)), v.gen)


def _norm(x: np.ndarray, *, per_token: bool) -> np.ndarray:
    return np.sqrt((x**2).sum(axis=-1, keepdims=True) if per_token else (x**2).sum())


def _guided_in_numpy(velocities: Velocities, guidance: Guidance) -> np.ndarray:
    """Section 5 of the golden README in double precision, for a text scale above 1."""
    v, u, w = (np.asarray(x, dtype=np.float64) for x in (velocities.gen, velocities.cfg_text, velocities.cfg_img))
    a, b, m = guidance.text_scale, guidance.image_scale, guidance.renorm_min
    g = u + a * (v - u)
    if guidance.renorm is Renorm.TEXT_CHANNEL:
        g = g * np.clip(_norm(v, per_token=True) / (_norm(g, per_token=True) + 1e-8), m, 1)
        return w + b * (g - w) if b > 1 else g
    q = w + b * (g - w) if b > 1 else g
    per_token = guidance.renorm is Renorm.CHANNEL
    return q * np.clip(_norm(v, per_token=per_token) / (_norm(q, per_token=per_token) + 1e-8), m, 1)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    renorm=st.sampled_from(list(Renorm)),
    text_scale=st.floats(1.01, 10.0),
    image_scale=st.floats(0.0, 5.0),
    renorm_min=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
def test_guidance_is_that_of_the_readme(
    seed: int, renorm: Renorm, text_scale: float, image_scale: float, renorm_min: float
) -> None:
    guidance = Guidance(text_scale=text_scale, image_scale=image_scale, renorm=renorm, renorm_min=renorm_min)
    v = _velocities(seed)

    np.testing.assert_allclose(guide(v, guidance).numpy(), _guided_in_numpy(v, guidance), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("renorm", list(Renorm))
def test_a_renorm_floor_of_one_turns_renorm_off(renorm: Renorm) -> None:
    v = _velocities(2)
    guided = v.cfg_text + 4.0 * (v.gen - v.cfg_text)
    guidance = Guidance(text_scale=4.0, image_scale=1.0, renorm=renorm, renorm_min=1.0)

    torch.testing.assert_close(guide(v, guidance), guided)


@pytest.mark.parametrize(("renorm", "dims"), [(Renorm.GLOBAL, (0, 1)), (Renorm.CHANNEL, (1,))])
def test_renorm_never_makes_a_velocity_longer_than_the_plain_one(renorm: Renorm, dims: tuple[int, ...]) -> None:
    v = _velocities(3)
    length = torch.linalg.vector_norm(guide(v, Guidance(text_scale=6.0, image_scale=2.0, renorm=renorm)), dim=dims)

    assert bool((length <= torch.linalg.vector_norm(v.gen, dim=dims) * (1 + 1e-5)).all())


def test_renorm_never_makes_a_guided_velocity_longer() -> None:
    gen, cfg_text = torch.ones(2, 4), torch.full((2, 4), 2.0)  # guided = 2 - 1.5 = 0.5, shorter than gen

    for renorm in Renorm:
        guided = guide(Velocities(gen, cfg_text), Guidance(text_scale=1.5, image_scale=1.0, renorm=renorm))
        assert torch.equal(guided, torch.full((2, 4), 0.5))


class _Recorder:
    """A velocity that is constant, and what it was asked."""

    def __init__(self, velocities: Velocities) -> None:
        self.velocities = velocities
        self.asked: list[tuple[float, bool]] = []

    def __call__(self, x: Tensor, t: Tensor, guided: bool) -> Velocities:
        self.asked.append((t.item(), guided))
        return self.velocities if guided else Velocities(self.velocities.gen)


def _states(x: Tensor, sampler: SamplerSettings, velocity: _Recorder) -> Iterator[Tensor]:
    return (state for _, state in euler_steps(x, sampler, velocity))


@pytest.mark.parametrize("points", [2, 7, 50])
def test_n_points_are_n_minus_one_steps_that_take_a_constant_velocity_away_once(points: int) -> None:
    x, v = torch.randn(6, 4, generator=torch.Generator().manual_seed(4)), _velocities(5)
    recorder = _Recorder(v)
    states = list(_states(x, SamplerSettings(num_timesteps=points, guidance=Guidance(text_scale=1.0)), recorder))

    assert len(states) == len(recorder.asked) == points - 1
    torch.testing.assert_close(states[-1], x - v.gen, rtol=1e-5, atol=1e-5)
    assert [t for t, _ in recorder.asked] == timesteps(points, 3.0)[:-1].tolist()


def test_each_step_reports_the_state_before_it_and_the_velocity_it_took() -> None:
    x, recorder = torch.zeros(6, 4), _Recorder(_velocities(6))
    times = timesteps(5, 3.0)
    for step, state in euler_steps(x, SamplerSettings(num_timesteps=5), recorder):
        assert torch.equal(step.x, x)
        assert step.t == times[step.index].item()
        torch.testing.assert_close(state, x - step.velocity * (times[step.index] - times[step.index + 1]))
        x = state


def test_guidance_is_wanted_inside_its_interval_only_and_never_at_a_text_scale_of_one() -> None:
    inside, never = _Recorder(_velocities(7)), _Recorder(_velocities(7))
    list(_states(torch.zeros(6, 4), SamplerSettings(num_timesteps=12, guidance=Guidance(interval=(0.4, 1.0))), inside))
    list(_states(torch.zeros(6, 4), SamplerSettings(num_timesteps=12, guidance=Guidance(text_scale=1.0)), never))

    assert [guided for t, guided in inside.asked] == [t > np.float32(0.4) for t, _ in inside.asked]
    assert {guided for _, guided in inside.asked} == {True, False}
    assert not any(guided for _, guided in never.asked)
