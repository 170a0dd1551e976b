"""Every golden case, through the engines and through the processes, with pages that fit and pages that do not."""

import os
import subprocess
import sys

import pytest

from tests.processes import ROOT

# As the Makefile runs them: these models are too small for threads.
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def last_line(module: str, *arguments: str) -> str:
    """What a parity command prints last, once it has passed."""
    command = [sys.executable, "-m", f"tests.parity.{module}", "tests/golden", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rstrip().splitlines()[-1]


@pytest.mark.parametrize("page_tokens", ["16", "7"])
def test_every_case_equals_the_official_model(page_tokens: str) -> None:
    assert last_line("direct", "--page-tokens", page_tokens) == "27 passed, 0 failed"


def test_bf16_stays_within_twice_the_references_own_drift() -> None:
    assert last_line("direct", "--dtype", "bfloat16") == "22 passed, 0 failed"


# `make parity-services` runs every transport with both page sizes.
@pytest.mark.parametrize(("transport", "page_tokens"), [("shm", "7"), ("mooncake", "16")])
def test_paging_and_transport_cost_no_accuracy(transport: str, page_tokens: str) -> None:
    flags = ("--transports", transport, "--page-tokens", page_tokens)
    assert last_line("services", *flags) == "18 passed, 0 failed"


def test_a_folder_without_the_cases_named_fails() -> None:
    command = [sys.executable, "-m", "tests.parity.direct", "tests/golden", "--cases", "no_such_case"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1
