"""`python -m benchmarks.transport_gpu`: how fast an edit's pages get from another process's memory onto this GPU.

512 MiB in pages of 896 KiB, scattered as a pool in use leaves them; every way runs in turns. A pinned copy of as many
bytes in one piece is the ceiling. Needs CUDA, and a CUDA build of Mooncake unless `--planes` leaves Mooncake out.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable
from random import Random

import torch

from bagel.model.device import finish_work, open_device
from bagel.model.kv import pages_on
from benchmarks.transport_plan import PAGE_BYTES, pages_for
from benchmarks.transport_reader import ReadingSide, Turn

GPU = torch.device("cuda")
MIB = 512
WARM_UP = 1
KERNELS = 70  # of 1.4 ms, in a step


def main() -> int:
    """Print milliseconds and GB/s of every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", default="shm,zeromq,mooncake")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--busy", action="store_true", help="beside steps of about 0.1 s, launched ahead as an engine does"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is here")
        return 1
    planes = options.planes.split(",")
    hashed = [name for name in planes if name != "shm"]
    side = ReadingSide(planes, device=GPU, hashed=hashed)
    over = threading.Event()
    if options.busy:
        threading.Thread(target=_draw, args=(over,), daemon=True).start()
    try:
        ways = _ways(side, [*hashed, *(f"{name} with digests" for name in hashed)])
        seconds = _measure(side, ways, options.rounds)
    finally:
        over.set()
        side.close()
    for name, spent in seconds.items():
        median = statistics.median(spent)
        print(f"{name:<26} {median * 1e3:7.1f} ms, {pages_for(MIB) * PAGE_BYTES / median / 1e9:5.1f} GB/s")
    return 0


def _ways(side: ReadingSide, fetched: list[str]) -> dict[str, Callable[[Turn], object]]:
    """Each leaves the turn's pages in the landing memory, or on the GPU and then there."""
    source = torch.ones(side.landing.num_bytes, dtype=torch.uint8, pin_memory=True)
    ways: dict[str, Callable[[Turn], object]] = {
        "pinned, in one piece": lambda turn: _keep(side, source[: turn.num_bytes]),
        "shm, run by run": lambda turn: _keep(side, pages_on(GPU, side.attached(turn), turn.pages)),
        "shm, gathered on the host": lambda turn: _keep(side, side.attached(turn)[turn.pages].to(GPU)),
    }
    for name in fetched:
        ways[name] = lambda turn, name=name: side.fetch(name, turn)
    return ways


def _keep(side: ReadingSide, pages: torch.Tensor) -> None:
    side.landing.tensor[: pages.numel()].copy_(pages.view(-1), non_blocking=True)
    finish_work(GPU)


def _draw(over: threading.Event) -> None:
    """Keep the GPU busy: some kernels in a row, then a look, again and again."""
    open_device(GPU.type)  # in a stream of its own, as stages do
    matrix = torch.ones(8192, 8192, dtype=torch.bfloat16, device=GPU)
    while not over.is_set():
        for _ in range(KERNELS):
            matrix @ matrix
        finish_work(GPU)


def _measure(side: ReadingSide, ways: dict[str, Callable[[Turn], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every way, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + WARM_UP):
        turn = side.turn(MIB, number)
        for name in Random(number).sample(list(ways), len(ways)):
            side.landing.tensor.zero_()
            torch.cuda.synchronize()
            started = time.perf_counter()
            ways[name](turn)
            spent = time.perf_counter() - started
            assert name.startswith("pinned") or side.landed(turn), name
            if number >= WARM_UP:
                seconds[name].append(spent)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
