"""The loss curves of a run as one picture."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

# File, key, title, logarithmic.
_PANELS = (
    ("vae.jsonl", "psnr", "VAE: PSNR of a step's pictures, dB", False),
    ("joint.jsonl", "flow", "flow matching: squared error of velocities", True),
    ("joint.jsonl", "text", "language: cross entropy of answers and thoughts", True),
)
_SMOOTHING = 9  # logged values averaged


def draw_curves(logs: Path, picture: Path) -> None:
    """Read `vae.jsonl` and `joint.jsonl` of a run's output folder and write a PNG."""
    figure, axes = pyplot.subplots(1, len(_PANELS), figsize=(15, 4), constrained_layout=True)
    for axis, (name, key, title, logarithmic) in zip(axes, _PANELS, strict=True):
        records = [json.loads(line) for line in (logs / name).read_text(encoding="utf-8").splitlines()]
        _panel(axis, [r["step"] for r in records], [r[key] for r in records])
        axis.set_title(title)
        if logarithmic:
            axis.set_yscale("log")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=90)
    pyplot.close(figure)


def _panel(axis: Axes, steps: list[int], values: list[float]) -> None:
    half = _SMOOTHING // 2
    smooth = [
        sum(window) / len(window) for i in range(len(values)) if (window := values[max(0, i - half) : i + half + 1])
    ]
    axis.plot(steps, values, color="#9bb8e8", linewidth=0.8)
    axis.plot(steps, smooth, color="#1f4fa3", linewidth=1.8)
    axis.set_xlabel("step")
    axis.grid(alpha=0.3, which="both")
