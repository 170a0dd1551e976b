"""The commands that README gives, as a new user types them."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.e2e.server import Server, scene
from tests.processes import ROOT

CLIENT = ROOT / "examples" / "openai_chat_client.py"


def run(server: Server, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(CLIENT), "-s", str(server.http.base_url).rstrip("/"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_client_draws_a_cat_with_its_defaults(default_server: Server, tmp_path: Path) -> None:
    done = run(default_server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert size_of(tmp_path / "bagel_output.png") == (512, 512)


def test_the_client_edits_describes_and_answers(default_server: Server, tmp_path: Path) -> None:
    scene(120, 80).save(tmp_path / "in.png")
    edit = run(
        default_server, tmp_path, "-m", "img2img", "-p", "Make it red", "-i", "in.png", "-o", "out.png",
        "--height", "128", "--width", "192", "--steps", "3", "--seed", "1", "--negative", "blurry",
    )  # fmt: skip
    assert edit.returncode == 0, edit.stderr
    assert size_of(tmp_path / "out.png") == (192, 128)
    describe = run(default_server, tmp_path, "-m", "img2text", "-p", "What is it?", "-i", "in.png")
    assert describe.returncode == 0, describe.stderr
    assert describe.stdout.strip()
    assert run(default_server, tmp_path, "-m", "text2text", "-p", "Hello").stdout.strip()


def test_the_client_says_what_was_wrong(default_server: Server, tmp_path: Path) -> None:
    done = run(default_server, tmp_path, "--height", "513")
    assert done.returncode == 1
    assert "400: height must be a multiple of 16" in done.stderr
    assert run(default_server, tmp_path, "-m", "img2img").returncode == 2


def test_the_demo_runs_from_start_to_end() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("text2img", "img2img", "img2text", "text2text"):
        assert f"\n{name}: " in done.stdout
    assert size_of(ROOT / "out" / "img2img.png") == (256, 256)
