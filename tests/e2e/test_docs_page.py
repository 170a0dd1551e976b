"""`/docs` in a real browser: it draws, sends what its forms say, keeps to its policy and asks no other host."""

import shutil
from collections.abc import Iterator

import pytest

from services.gateway.openapi_examples import PICTURE
from tests.e2e.server import Server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 60_000.0


class Page:
    """A page that remembers what it said and whom it asked."""

    def __init__(self, server: Server, browser: "playwright.Browser") -> None:
        self.base = str(server.http.base_url).rstrip("/")
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{self.base}/docs")
        self.page.wait_for_selector(".opblock")

    def send(self, operation: str, picture: str | None = None) -> str:
        """The status of an operation whose form is sent as the page fills it."""
        block = self.page.locator(f"#operations-tasks-{operation}")
        block.locator(".opblock-summary-control").click()
        if picture is not None:
            block.locator("input[type=file]").first.set_input_files(picture)
        block.locator("button.execute").click()
        return block.locator(".live-responses-table .response-col_status").nth(1).inner_text().strip()


@pytest.fixture
def page(default_server: Server) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Page(default_server, browser)
        browser.close()


def test_the_page_sends_what_its_forms_hold_and_asks_no_other_host(page: Page) -> None:
    assert page.send("createChatCompletion").startswith("200")
    # Fields that nobody touched are not sent; the picture alone is chosen.
    assert page.send("createImageEdit", str(PICTURE)).startswith("200")
    assert page.said == []
    assert {url for url in page.asked if not url.startswith((f"{page.base}/", "data:", "blob:"))} == set()
