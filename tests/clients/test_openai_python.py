"""OpenAI's own Python client, of both of its current major versions."""

from pathlib import Path

import pytest

from services.gateway.keys import add_key
from tests.clients.conftest import Runner, Script
from tests.clients.environments import python_environment
from tests.clients.page import PAGE, shown
from tests.e2e.server import Server
from tests.ports import free_port
from tests.processes import ROOT, running


@pytest.fixture(scope="module", params=["2.54.0", "3.54.0"])
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def python(version: str) -> Path:
    return python_environment(f"openai-{version}", f"openai=={version}")


@pytest.mark.parametrize("name", ["openai_chat.py", "openai_images.py", "openai_errors.py", "openai_parameters.py"])
def test_the_python_client_works(server: Server, script: Script, python: Path, version: str, name: str) -> None:
    assert script(python, name, server.http.base_url)["version"] == version


def test_keys_and_rates_are_the_clients_own_errors(
    server: Server, script: Script, python: Path, version: str, tmp_path: Path
) -> None:
    path, port = tmp_path / "keys", free_port()
    key = add_key(path, "one", per_minute=6, at_once=None)
    stages = ("--thinker", server.thinker, "--dit", server.dit)
    with running(
        "services.gateway", "--port", str(port), *stages, "--api-keys", str(path), "--log-format", "json"
    ) as it:
        for _ in range(2):  # one of each stage
            it.wait_event("stage_changed")
        assert script(python, "openai_keys.py", f"http://127.0.0.1:{port}", key)["version"] == version


def test_what_the_page_shows_works(server: Server, runner: Runner, python: Path, version: str, tmp_path: Path) -> None:
    assert version in PAGE
    file = tmp_path / "shown.py"
    file.write_text(shown("openai for Python", server.http.base_url))
    printed = runner(python, file)
    assert printed.count("image_generation.partial_image ") == 2
    assert "\nsize invalid_value " in printed


def test_what_the_quickstart_shows_works(server: Server, runner: Runner, python: Path, tmp_path: Path) -> None:
    file = tmp_path / "shown.py"
    quickstart = (ROOT / "docs" / "quickstart.md").read_text()
    file.write_text(shown("With an OpenAI client", server.http.base_url, quickstart))
    assert runner(python, file).startswith("iVBORw0KGgo")
