"""LangChain's `ChatOpenAI`."""

from pathlib import Path

import pytest

from tests.clients.conftest import Runner, Script
from tests.clients.environments import python_environment
from tests.clients.page import PAGE, shown
from tests.e2e.server import Server

VERSION = "1.7.0"


@pytest.fixture(scope="module")
def python() -> Path:
    return python_environment("langchain", f"langchain-openai=={VERSION}")


def test_langchain_works(server: Server, script: Script, python: Path) -> None:
    assert script(python, "langchain_chat.py", server.http.base_url)["version"] == VERSION


def test_what_the_page_shows_works(server: Server, runner: Runner, python: Path, tmp_path: Path) -> None:
    assert VERSION in PAGE
    file = tmp_path / "shown.py"
    file.write_text(shown("LangChain", server.http.base_url))
    assert runner(python, file).startswith("data:image/png;base64,")
