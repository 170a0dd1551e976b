"""An environment for each client under build/clients, made once for its pinned packages and then used again.

Knows nothing of the clients themselves; what they install beside themselves is up to their own requirements.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT

FOLDER = ROOT / "build" / "clients"
INSTALL_TIMEOUT_S = 900.0


class InstallError(Exception):
    """A client cannot be had here; says what its installer said."""


def python_environment(name: str, *packages: str) -> Path:
    """The Python of a virtual environment with these packages. Blocking. Raises InstallError."""
    with _made_once(name, sys.version, *packages) as (folder, missing):
        python = folder / "bin" / "python"
        if missing:
            _install(sys.executable, "-m", "venv", str(folder))
            _install(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return python


def node_environment(name: str, *packages: str) -> Path:
    """The `node_modules` with these packages. Blocking. Raises InstallError."""
    with _made_once(name, *packages) as (folder, missing):
        if missing:
            folder.mkdir(parents=True)
            _install("npm", "install", "--no-fund", "--no-audit", "--prefix", str(folder), *packages)
    return folder / "node_modules"


@contextmanager
def _made_once(name: str, *key: str) -> Iterator[tuple[Path, bool]]:
    """A folder for this key, and whether it is still to be made; what was left half made is removed first."""
    folder = FOLDER / f"{name}-{hashlib.sha256(chr(10).join(key).encode()).hexdigest()[:8]}"
    complete = folder / "complete"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = not complete.exists()
        if missing:
            shutil.rmtree(folder, ignore_errors=True)
        yield folder, missing
        complete.touch()


def _install(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    try:
        done = _run(command, environment)
    except subprocess.TimeoutExpired:
        raise InstallError(f"{' '.join(command)}: not done within {INSTALL_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr[-2000:]}")


def _run(command: Sequence[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
    )
