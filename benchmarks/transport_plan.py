"""What `benchmarks.transport` moves: sizes, and pages scattered as a pool in use leaves them."""

from random import Random
from secrets import token_hex

from transport.base import DataPlane
from transport.shm import ShmPlane
from transport.zeromq import ZeroMqPlane

PAGE_BYTES = 896 << 10  # 16 tokens of the 7B model in bfloat16
HEADER_BYTES = 64  # of a serialised message
SIZES_MIB = (1, 4, 16, 64, 256, 512)
POOL_PAGES = 900
HELD_SHARE = 0.3  # of the pool, by other requests


def pages_for(mib: int) -> int:
    """Whole pages that make up a size."""
    return -(-(mib << 20) // PAGE_BYTES)


def scattered(count: int, seed: int) -> list[int]:
    """`count` pages, lowest first, of a pool in which other requests of 1 to 40 pages came and went."""
    rng, held = Random(seed), set[int]()
    while len(held) < HELD_SHARE * POOL_PAGES:
        start = rng.randrange(POOL_PAGES)
        held.update(range(start, min(POOL_PAGES, start + rng.randint(1, 40))))
    free = [page for page in range(POOL_PAGES) if page not in held]
    return free[:count]


def plane_of(name: str, *, digests: bool = False) -> DataPlane:
    """A plane, as a rule without digests, which are reported beside."""
    match name:
        case "shm":
            return ShmPlane(f"@bagel-bench-{token_hex(8)}")
        case "zeromq":
            return ZeroMqPlane(digests=digests)
        case "mooncake":
            from transport.mooncake import MooncakePlane  # an extra

            return MooncakePlane(digests=digests)
        case _:
            raise ValueError(f"no plane {name!r}")
