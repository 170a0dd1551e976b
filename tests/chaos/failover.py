"""`python -m tests.chaos.failover`: stages, the master and whole nodes are lost while pictures are asked for.

Every answer is held against what the same request gave in peace. Prints what was seen, and what was violated.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.failover_orders import check_orders
from tests.chaos.failover_outage import check_outage
from tests.chaos.failover_rounds import check_kills, check_rolling, check_thinker
from tests.chaos.node import running_node


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200, help="at least so many while DiTs are killed")
    parser.add_argument("--kills", type=int, default=16, help="of DiTs that draw")
    parser.add_argument("--every-s", type=float, default=10.0, help="between kills")
    parser.add_argument("--outage-s", type=float, default=60.0, help="of the master")
    parser.add_argument("--orders", type=int, default=24, help="start orders of gateway, Thinker and two DiTs")
    options = parser.parse_args(argv)
    started, violations = time.monotonic(), list[str]()
    print(f"{os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="bagel-chaos-") as folder:
        with running_node(Path(folder)) as node:
            violations += asyncio.run(check_kills(node, options.pictures, options.kills, options.every_s))
            violations += asyncio.run(check_thinker(node))
            violations += asyncio.run(check_rolling(node))
        violations += check_outage(options.outage_s)
        violations += check_orders(options.orders)
    print("\n".join(violations))
    print(f"{len(violations)} violations in {time.monotonic() - started:.0f} s")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
