"""`examples/bagel.ipynb`: its cells run in order, as a person runs them, and it is committed without what they gave."""

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.command import environment
from tests.processes import ROOT

NOTEBOOK = ROOT / "examples" / "bagel.ipynb"
LOOKS = """
assert cat.picture != blue.picture
assert show(blue).size == (256, 256)
assert sheet.getbbox() == (0, 0, 768, 256)
print("description:", description)
print("answer:", answer)
"""


def test_every_cell_runs_and_the_four_tasks_answer(tmp_path: Path) -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)
    script = tmp_path / "cells.py"
    script.write_text("\n".join("".join(cell["source"]) for cell in cells) + LOOKS)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
        timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "blue cat" in next(line for line in done.stdout.splitlines() if line.startswith("description: "))
    assert "answer: The capital of France is Paris.\n" in done.stdout
