"""One server for all clients, the pictures that they send, and how a client's script is run."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.server import Server, running_server, scene

SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT_TIMEOUT_S = 150.0
# Runs (program, script, base URL of what is asked, more arguments, environment); what the script reported.
Script = Callable[..., dict[str, Any]]
# Runs (program, file, more arguments, environment); what it printed.
Runner = Callable[..., str]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The default model; whatever a client did, nothing of it stays on the server."""
    yield shared_server
    shared_server.wait_idle()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of pictures that every script is given."""
    folder = tmp_path_factory.mktemp("pictures")
    scene(96, 64).save(folder / "scene.png")
    scene(64, 64).transpose(Image.Transpose.ROTATE_90).save(folder / "other.png")
    mask = Image.new("RGBA", (96, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (48, 0, 96, 64))
    mask.save(folder / "mask.png")
    return folder


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Runs a file to its end; a failed one fails the test with all that it printed."""

    def run(program: Path | str, file: Path, *more: str, **environment: str) -> str:
        command, name = [str(program), str(file), *more], file.name
        try:
            done = subprocess.run(
                command, env=bare_environment(tmp_path) | environment, cwd=tmp_path, capture_output=True, text=True,
                check=False, timeout=SCRIPT_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            pytest.fail(
                f"{name}: not done within {SCRIPT_TIMEOUT_S} s\n{error.stdout!r}\n{error.stderr!r}", pytrace=False
            )
        if done.returncode != 0:
            pytest.fail(f"{name}: exit status {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout

    return run


@pytest.fixture
def script(runner: Runner, pictures: Path) -> Script:
    """Runs one of our scripts."""

    def run(program: Path | str, name: str, url: object, *more: str, **environment: str) -> dict[str, Any]:
        printed = runner(program, SCRIPTS / name, str(url).rstrip("/"), str(pictures), *more, **environment)
        facts: dict[str, Any] = json.loads(printed.splitlines()[-1])
        print(name, json.dumps(facts))
        return facts

    return run


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's settings but the path: no keys, no proxies, no configuration of a user's."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
