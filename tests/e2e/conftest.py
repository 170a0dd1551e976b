"""Two servers for all end-to-end tests; after each of them every page must be free again."""

from collections.abc import Iterator

import pytest

from tests.e2e.server import Server, running_server


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with running_server("--load-format", "dummy") as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The default model's sizes with random weights: every setting shows, and texts end at their limit."""
    yield shared_server
    shared_server.wait_idle()


@pytest.fixture(scope="session")
def shared_default_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def default_server(shared_default_server: Server) -> Iterator[Server]:
    """What `bagel serve` is without a flag: the default model with its own weights."""
    yield shared_default_server
    shared_default_server.wait_idle()
