"""LiteLLM's proxy in front of the server, asked by the `openai` client that it brings along."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import Script, bare_environment
from tests.clients.environments import python_environment
from tests.clients.page import PAGE, shown
from tests.clients.programs import running_program
from tests.e2e.server import Server
from tests.ports import free_port

VERSION = "1.106.0"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy, the Python of its environment, and the key that it asks for."""

    url: str
    python: Path
    key: str


@pytest.fixture(scope="module")
def proxy(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    python = python_environment("litellm", f"litellm[proxy]=={VERSION}")
    folder, port, key = tmp_path_factory.mktemp("litellm"), free_port(), f"sk-{secrets.token_hex(24)}"
    settings = f"general_settings: {{master_key: {key}}}\nlitellm_settings: {{telemetry: false, num_retries: 0}}\n"
    (folder / "config.yaml").write_text(shown("LiteLLM", shared_server.http.base_url) + settings)
    command = [str(python.with_name("litellm")), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    # Prices and contexts of models as its package has them, not from elsewhere.
    environment = bare_environment(folder) | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    url = f"http://127.0.0.1:{port}"
    with running_program(command, environment=environment, folder=folder, health_url=f"{url}/health/liveliness"):
        yield Proxy(url, python, key)


@pytest.mark.parametrize("name", ["litellm_chat.py", "litellm_images.py"])
def test_the_proxy_works(server: Server, script: Script, proxy: Proxy, name: str) -> None:
    assert VERSION in PAGE
    assert script(proxy.python, name, proxy.url, proxy.key)["version"] == VERSION
