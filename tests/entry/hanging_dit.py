"""`python -m tests.entry.hanging_dit`: a DiT whose device stands still before the first step of one seed."""

import argparse
import sys
import time

from torch import Tensor

from bagel.model.noise import SeededNoise
from bagel.stage_flags import add_stage_flags, stage_config
from services.dit.__main__ import run_dit

SEED, HANGS_S = 666, 600.0


class HangingNoise(SeededNoise):
    """Seeded noise that does not come for one seed."""

    def start(self, request_id: str, seed: int, shape: tuple[int, ...]) -> Tensor:
        if seed == SEED:
            time.sleep(HANGS_S)
        return super().start(request_id, seed, shape)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_stage_flags(parser)
    sys.exit(run_dit(stage_config(parser.parse_args()), HangingNoise()))
