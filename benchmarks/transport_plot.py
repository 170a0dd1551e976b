"""The rates of `benchmarks.transport` as a picture. Needs matplotlib, which nothing else here does."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

LEFT_OUT = ("shm, in place", "xxh3, one side")  # they move no bytes


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """GB/s over MiB, a line a way, both axes logarithmic."""
    sizes = sorted({row["mib"] for row in rows})
    figure, axes = plt.subplots(figsize=(8, 5), dpi=110)
    for name in rows[0]["seconds"]:
        if name in LEFT_OUT:
            continue
        rates = [
            statistics.median(r["bytes"] / r["seconds"][name] / 1e9 for r in rows if r["mib"] == size) for size in sizes
        ]
        axes.plot(sizes, rates, marker="o", markersize=4, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set(xlabel="MiB of KV pages, scattered, 896 KiB each", ylabel="GB/s into the reader's memory")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
