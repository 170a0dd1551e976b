"""OpenAI's client for Node. Its version 7 needs Node 22; 6 runs on 20, the oldest Node that is still common."""

import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import Runner, Script
from tests.clients.environments import node_environment
from tests.clients.page import PAGE, shown
from tests.e2e.server import Server

VERSION = "6.49.0"


@pytest.fixture(scope="module")
def modules() -> Path:
    assert shutil.which("node"), "this needs Node 20 or newer: Debian's packages nodejs and npm"
    return node_environment("openai-node", f"openai@{VERSION}")


@pytest.mark.parametrize("name", ["openai_chat.cjs", "openai_images.cjs"])
def test_the_node_client_works(server: Server, script: Script, modules: Path, name: str) -> None:
    assert script("node", name, server.http.base_url, NODE_PATH=str(modules))["version"] == VERSION


def test_what_the_page_shows_works(server: Server, runner: Runner, modules: Path) -> None:
    assert VERSION in PAGE
    file = modules.parent / "shown.mjs"  # modules are looked for beside the file that imports them
    file.write_text(shown("openai for Node", server.http.base_url))
    assert runner("node", file).split() == ["image_edit.partial_image", "image_edit.completed"]
