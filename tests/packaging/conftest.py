"""The wheel, built as a release builds it, and a fresh environment outside this tree with nothing but it. Minutes."""

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import ROOT

INSTALL_TIMEOUT_S = 900.0
OWN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "BAGEL_URL", "BAGEL_API_KEY")


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the package, and an empty folder to work in."""

    bin: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes: nothing of this tree, and no hub."""
        kept = {name: value for name, value in os.environ.items() if name not in OWN}
        return kept | {"HF_HUB_OFFLINE": "1", "PATH": f"{self.bin}:{kept['PATH']}"}

    def run(self, *command: str, timeout_s: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """One of its commands, to its end."""
        return subprocess.run(
            [self.bin / command[0], *command[1:]], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which is built from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)])
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with its extra `stage`, every version as constrained."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=True)
    own = Installed(folder / "venv" / "bin", folder / "empty")
    own.folder.mkdir()
    _run([
        str(own.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--constraint", str(ROOT / "constraints.txt"), f"bagel-serve[stage] @ {wheel.as_uri()}",
    ], own.environment)  # fmt: skip
    return own


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
