"""`python -m tests.entry.thinker`: the Thinker with `--test-noise`."""

import argparse
import sys

from bagel.stage_flags import add_stage_flags, stage_config
from services.thinker.__main__ import run_thinker
from tests.entry.file_noise import FileNoise, add_noise_flag

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_stage_flags(parser)
    add_noise_flag(parser)
    options = parser.parse_args()
    sys.exit(run_thinker(stage_config(options), FileNoise(options.test_noise)))
