"""`examples/grpc_client.py` against a running server, as its first lines say."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.e2e.command import environment
from tests.e2e.server import Server
from tests.ports import free_port
from tests.processes import ROOT

CLIENT = ROOT / "examples" / "grpc_client.py"


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(CLIENT), *arguments], cwd=folder, env=environment(), capture_output=True, text=True,
        check=False, timeout=90,
    )  # fmt: skip


def test_it_draws_edits_describes_and_answers_with_progress(default_server: Server, tmp_path: Path) -> None:
    done = run(tmp_path, "A red cat on a white background", "--server", default_server.grpc, "--steps", "8")
    assert done.returncode == 0, done.stderr
    *saved, description, animal, capital = done.stdout.splitlines()
    assert saved == ["out/text2img.png", "out/img2img.png"]
    for path in saved:
        with Image.open(tmp_path / path) as image:
            assert image.size == (256, 256)
    assert "cat" in description
    assert "cat" in animal
    assert capital
    assert "step 7 of 7" in done.stderr
    assert done.stderr.count("done in") == 5


def test_it_says_what_was_wrong(server: Server, tmp_path: Path) -> None:
    refused = run(tmp_path, "--server", server.grpc, "--steps", "1")
    assert refused.returncode == 1
    assert "INVALID_ARGUMENT: num_inference_steps" in refused.stderr
    away = run(tmp_path, "--server", f"127.0.0.1:{free_port()}")
    assert away.returncode == 1
    assert "UNAVAILABLE" in away.stderr
