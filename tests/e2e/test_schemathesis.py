"""Schemathesis against the running server: what the API's description allows, or just not, is answered as described.

Its seed is fixed; `schemathesis_hooks.py` keeps the cases cheap. `make chaos` generates 2,000 and more, in all phases.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.server import Server
from tests.processes import ROOT

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "20")  # an operation
LEAST = int(os.environ.get("SCHEMATHESIS_LEAST", "100"))  # cases in all
PHASES = os.environ.get("SCHEMATHESIS_PHASES", "examples,fuzzing")
MAX_S = 90
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
)  # fmt: skip


def test_no_case_breaks_the_server_or_its_description(default_server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{default_server.http.base_url}/openapi.json",
            "--checks", ",".join(CHECKS), "--phases", PHASES, "--max-examples", EXAMPLES,
            "--seed", "1", "--suppress-health-check", "all", "--continue-on-failure", "--request-timeout",
            "30", "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=2 * MAX_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    generated = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert generated is not None, done.stdout[-2000:]
    print(f"{generated[1]} cases: no 5xx, no undocumented status")
    assert int(generated[1]) == int(generated[2]) >= LEAST
