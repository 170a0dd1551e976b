"""`examples/node` as it stands, with grpc-js from its registry."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.clients.conftest import Runner
from tests.clients.environments import node_environment
from tests.e2e.server import Server
from tests.processes import ROOT

EXAMPLE = ROOT / "examples" / "node"


@pytest.fixture(scope="module")
def example() -> Path:
    """The example beside its packages and the protos, as in the repository."""
    wanted = json.loads((EXAMPLE / "package.json").read_text())["dependencies"]
    folder = node_environment("grpc-node", *(f"{name}@{version}" for name, version in wanted.items())).parent
    shutil.copytree(ROOT / "protos", folder / "protos", dirs_exist_ok=True)
    shutil.copytree(EXAMPLE, folder / "examples" / "node", dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_*"))
    return folder / "examples" / "node" / "generate.mjs"


def test_the_example_draws_a_picture_and_describes_it(
    server: Server, runner: Runner, example: Path, tmp_path: Path
) -> None:
    said = runner("node", example, server.grpc, "A red circle on a white background", str(tmp_path / "circle.png"))
    picture = Image.open(tmp_path / "circle.png").convert("RGB")
    assert picture.size == (256, 256)
    red, green, blue = picture.getpixel((128, 128))  # type: ignore[misc]
    assert red > 150 > max(green, blue)
    assert "red circle" in said.splitlines()[-1]
