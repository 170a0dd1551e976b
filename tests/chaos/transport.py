"""`python -m tests.chaos.transport`: kill rounds over every plane between processes, and a table of how they went."""

import argparse
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.rig import Sizes
from tests.chaos.transport_kills import LIMIT_S, Report, Strike, run
from tests.transport.kinds import ACROSS_PROCESSES, OVER_MOONCAKE
from tests.transport.store_servers import servers_of

PAGE_BYTES = 896 << 10  # 16 tokens of the 7B model
SHARED_MEMORY = Path("/dev/shm")
KINDS = (*ACROSS_PROCESSES, *OVER_MOONCAKE)
# The same plane as another one, behind another kind of address: a quarter of the rounds.
SIBLINGS = ("zeromq-ipc",)


def table(reports: list[Report]) -> str:
    """Rounds by kind and strike, as Markdown."""
    lines = [
        "| kind | strike | rounds | on the way | failed | slowest to know | allowed | slowest next transfer |",
        "|---" * 8 + "|",
    ]
    for report in reports:
        for strike in Strike:
            own = [one for one in report.rounds if one.strike is strike]
            if own:
                met, failed = sum(one.met for one in own), sum(one.failed for one in own)
                noticed, served = max(one.noticed_s for one in own), max(one.served_s for one in own)
                lines.append(
                    f"| {report.kind} | {strike.value} | {len(own)} | {met} | {failed} | {noticed:.2f} s"
                    f" | {LIMIT_S[strike]:.0f} s | {served:.2f} s |"
                )
    return "\n".join(lines)


def main() -> int:
    """Exit status 0 when nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=100, help="of each kind; a quarter of them where only the address differs"
    )
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--mib", type=int, default=256, help="of a transfer")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="the one of a run to repeat")
    options = parser.parse_args()
    sizes = Sizes(max(1, (options.mib << 20) // PAGE_BYTES), PAGE_BYTES)
    print(f"{options.rounds} rounds a kind, {sizes.pages} pages of {PAGE_BYTES >> 10} KiB a transfer,", end=" ")
    print(f"{os.cpu_count()} cores, seed {options.seed}", flush=True)
    before, started, reports = set(SHARED_MEMORY.iterdir()), time.monotonic(), []
    for kind in options.kinds:
        with tempfile.TemporaryDirectory(prefix="bagel-chaos-") as folder:
            say = lambda text: print(f"{time.monotonic() - started:5.0f} s  {text}", flush=True)  # noqa: E731
            with servers_of(kind, Path(folder)):
                rounds = -(-options.rounds // 4) if kind in SIBLINGS else options.rounds
                reports.append(run(kind, Path(folder), sizes, rounds, options.seed, say))
    violations = [text for report in reports for text in report.violations]
    left = sorted(str(path) for path in set(SHARED_MEMORY.iterdir()) - before)
    if left:
        violations.append(f"left in shared memory: {left}")
    print(table(reports))
    for report in reports:
        print(f"{report.kind}: " + "; ".join(report.survivors))
    print("\n".join(violations))
    rounds = sum(len(report.rounds) for report in reports)
    print(f"{rounds} rounds in {time.monotonic() - started:.0f} s, {len(violations)} violations")
    return 1 if violations or not rounds else 0


if __name__ == "__main__":
    sys.exit(main())
