"""One server and one browser for all tests of the playground; without Chromium they are skipped."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.server import Server, running_server
from tests.playground.browsing import NoChromiumError, open_browser
from tests.playground.driver import Playground, context_options


# Closed with this folder: other tests run event loops.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        with open_browser() as browser:
            yield browser
    except NoChromiumError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="package")
def shared_server(browser: Browser) -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def unwatched(browser: Browser, shared_server: Server) -> Iterator[Playground]:
    """The page open and ready, in a context of its own; what it does wrong is in `problems`."""
    with browser.new_context(**context_options()) as context:
        playground = Playground(context.new_page(), shared_server)
        playground.open()
        yield playground


@pytest.fixture
def playground(unwatched: Playground) -> Iterator[Playground]:
    """The page, which in the end must have logged no error and asked no other host."""
    yield unwatched
    assert unwatched.problems == []
    unwatched.server.wait_idle()
