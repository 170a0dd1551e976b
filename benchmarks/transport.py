"""`python -m benchmarks.transport`: how fast pages get from a holder's process into a reader's memory.

Every way runs in turns in the same minutes, since machines are noisy: compare the ratios, which are medians of ratios
of one turn. Pages are scattered as a pool in use leaves them, 896 KiB each (16 tokens of the 7B model).
Digests are left out of the times and reported beside.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from benchmarks.transport_plan import SIZES_MIB
from benchmarks.transport_reader import ReadingSide, Turn

WARM_UP = 1


def ways_of(side: ReadingSide, planes: list[str]) -> dict[str, Callable[[Turn], float]]:
    """Every way by name."""
    ways: dict[str, Callable[[Turn], float]] = {"memcpy": side.memcpy, "shm, in place": side.look}
    for name in planes:
        ways[f"{name}, copied" if name == "shm" else name] = lambda turn, name=name: side.fetch(name, turn)
    others = {"raw socket": side.raw_socket, "zeromq alone": side.zeromq_alone, "gathered": side.gathered}
    if "zeromq" in planes:
        others["zeromq with digests"] = lambda turn: side.fetch("zeromq with digests", turn)
    return {**ways, **others, "xxh3, one side": side.hashing}


def measure(side: ReadingSide, planes: list[str], rounds: int) -> list[dict[str, Any]]:
    """Seconds of every way, size and round."""
    rows, ways = [], ways_of(side, planes)
    for mib in SIZES_MIB:
        for number in range(rounds + WARM_UP):
            turn = side.turn(mib, number)
            seconds = {}
            # What ran just before leaves caches its way: the order changes with the round, and a copy stands between.
            for name in Random(number).sample(list(ways), len(ways)):
                side.memcpy(turn)
                seconds[name] = ways[name](turn)
                if name in planes or name == "shm, copied":
                    assert side.landed(turn), name
            if "mooncake" in planes:
                near = side.turn(mib, number, neighbours=True)
                side.memcpy(near)
                seconds["mooncake, neighbours"] = side.fetch("mooncake", near)
            if number >= WARM_UP:
                rows.append({"mib": mib, "bytes": turn.num_bytes, "round": number, "seconds": seconds})
        print(f"{mib} MiB done", flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Median milliseconds and GB/s by way and size, as Markdown."""
    names = sorted(rows[0]["seconds"])
    lines = ["| way | " + " | ".join(f"{mib} MiB" for mib in SIZES_MIB) + " |", "|---" * (len(SIZES_MIB) + 1) + "|"]
    for name in names:
        cells = []
        for mib in SIZES_MIB:
            own = [row for row in rows if row["mib"] == mib]
            seconds = statistics.median(row["seconds"][name] for row in own)
            cells.append(f"{seconds * 1e3:.2f} ms, {own[0]['bytes'] / seconds / 1e9:.1f} GB/s")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratio(rows: list[dict[str, Any]], slow: str, fast: str, mib: int = 512) -> float:
    """Median over rounds of how many times the rate of `slow` the way `fast` reaches."""
    return statistics.median(r["seconds"][slow] / r["seconds"][fast] for r in rows if r["mib"] == mib)


def bars(rows: list[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """(what, measured, least wanted) at 512 MiB."""
    found = [
        ("shm, copied : memcpy", ratio(rows, "memcpy", "shm, copied"), 0.8),
        ("zeromq : zeromq alone", ratio(rows, "zeromq alone", "zeromq"), 0.9),
        ("zeromq : gathered", ratio(rows, "gathered", "zeromq"), 3.0),
    ]
    if "mooncake" in rows[0]["seconds"]:
        found.append(("mooncake, scattered : neighbours", ratio(rows, "mooncake, neighbours", "mooncake"), 0.9))
    return found


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", default="shm,zeromq")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("out/transport.json"))
    parser.add_argument("--plot", type=Path, help="a picture of the rates; needs matplotlib")
    options = parser.parse_args()
    planes = options.planes.split(",")
    torch.set_num_threads(1)
    side = ReadingSide(planes)
    try:
        rows = measure(side, planes, options.rounds)
    finally:
        side.close()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}), encoding="utf-8")
    print(table(rows))
    if options.plot is not None:
        from benchmarks.transport_plot import draw

        draw(rows, options.plot)
    look = [r["seconds"]["shm, in place"] for r in rows if r["mib"] == 512]
    print(f"shm, 512 MiB in place: {statistics.median(look) * 1e3:.2f} ms to the first read (wanted: at most 5)")
    fixed = [r["seconds"]["shm, copied"] for r in rows if r["mib"] == 1]
    print(f"shm, 1 MiB copied: {statistics.median(fixed) * 1e3:.2f} ms in all (wanted: at most 1 of fixed time)")
    for what, measured, least in bars(rows):
        print(f"{what}: {measured:.2f} (wanted: at least {least})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
