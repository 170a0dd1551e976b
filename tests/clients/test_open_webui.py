"""Open WebUI with its image engine pointed at the server. The one client that may be skipped: it takes 3 GB."""

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import Script, bare_environment
from tests.clients.environments import FOLDER, InstallError, python_environment
from tests.clients.page import PAGE, shown
from tests.clients.programs import running_program
from tests.e2e.server import Server
from tests.ports import free_port

VERSION = "0.12.4"
# The newest torch, which it would take by itself, brings 5 GB of CUDA libraries along.
PACKAGES = (f"open-webui=={VERSION}", "torch==2.13.0")
NEEDED_BYTES = 12 * 10**9
EVIDENCE = "its run is in docs/evidence/open-webui.txt"


@dataclass(frozen=True, slots=True)
class WebUi:
    """A running Open WebUI and the Python of its environment."""

    url: str
    python: Path


@pytest.fixture(scope="module")
def web_ui(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    if os.environ.get("OPEN_WEBUI") == "0":
        pytest.skip(f"OPEN_WEBUI=0; {EVIDENCE}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(FOLDER).free < NEEDED_BYTES:
        pytest.skip(f"under {NEEDED_BYTES / 1e9:.0f} GB of disk are free; {EVIDENCE}")
    try:
        python = python_environment("open-webui", *PACKAGES)
    except InstallError as error:
        pytest.skip(f"cannot be installed here; {EVIDENCE}: {error}")
    folder, port = tmp_path_factory.mktemp("open-webui"), free_port()
    command = [str(python.with_name("open-webui")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = bare_environment(folder) | settings(shared_server.http.base_url, folder)
    url = f"http://127.0.0.1:{port}"
    with running_program(command, environment=environment, folder=folder, health_url=f"{url}/health"):
        yield WebUi(url, python)


def settings(url: object, folder: Path) -> dict[str, str]:
    """What the page shows, and what keeps it from the network and from asking for a password."""
    lines = shown("Open WebUI", url).split()
    return dict(line.split("=", 1) for line in lines) | {
        "DATA_DIR": str(folder), "WEBUI_AUTH": "False", "WEBUI_SECRET_KEY": secrets.token_hex(16),
        "OFFLINE_MODE": "True", "HF_HUB_OFFLINE": "1", "ENABLE_OLLAMA_API": "False",
    }  # fmt: skip


def test_open_webui_s_image_calls_work(server: Server, script: Script, web_ui: WebUi) -> None:
    assert VERSION in PAGE
    assert script(web_ui.python, "open_webui_images.py", web_ui.url)["version"] == VERSION
