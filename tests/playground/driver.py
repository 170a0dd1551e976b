"""The playground in a real browser, as tests drive it: what a person can do, and what the browser saw of it."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page, Request

from tests.e2e.server import Server

# The machine may be busy with other tests.
TIMEOUT_MS = 60_000.0
QUICK = {"num_inference_steps": "4", "width": "64", "height": "64", "seed": "5"}
GOOD = {"num_inference_steps": "16", "seed": "7"}


@dataclass
class Playground:
    """The page of a running server."""

    page: Page
    server: Server
    problems: list[str] = field(default_factory=list)  # console errors, exceptions, requests to elsewhere
    requests: list[Request] = field(default_factory=list)

    def open(self) -> None:
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        self.page.on("request", self._request)
        self.page.goto(f"{self.origin}/")
        self.page.locator("#run:enabled").wait_for()

    @property
    def origin(self) -> str:
        return str(self.server.http.base_url).rstrip("/")

    @property
    def results(self) -> Locator:
        return self.page.locator("#history > li")

    def enter(self, task: str, prompt: str, **settings: str) -> None:
        """Choose a task by its label, write the prompt, set settings by their names."""
        self.page.get_by_label(task, exact=True).check()
        self.page.get_by_label("Prompt", exact=True).fill(prompt)
        for name, value in settings.items():
            control = self.page.locator(f"#setting-{name}")
            if not control.is_visible():
                self.page.locator("#more > summary").click()
            if control.evaluate("c => c.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(value)

    def run(self) -> Locator:
        """Start, and wait for one more result, which is given."""
        before = self.results.count()
        self.page.locator("#run").click()
        self.page.locator("#run").wait_for(state="visible")
        self.results.nth(before).wait_for()
        return self.results.first

    def saved(self, result: Locator) -> tuple[Image.Image, str]:
        """The picture behind a result's link, and its name."""
        with self.page.expect_download() as download:
            result.get_by_role("link", name="Save").click()
        return opened(download.value.path()), download.value.suggested_filename

    def drop(self, image: Image.Image, name: str) -> None:
        """Drag a file over the page and let it go."""
        self._with_file(image, name, """(transfer) => {
            const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
            for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, options));
        }""")  # fmt: skip

    def paste(self, image: Image.Image) -> None:
        """Paste a picture, as from a screenshot."""
        self._with_file(image, "image.png", """(transfer) => document.activeElement.dispatchEvent(
            new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true}))""")  # fmt: skip

    def copied(self, button: Locator) -> str:
        """The clipboard after a button was pressed."""
        button.click()
        self.page.locator("#status", has_text="Copied as").wait_for()
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text

    def _with_file(self, image: Image.Image, name: str, act: str) -> None:
        self.page.evaluate(
            f"""([bytes, name]) => {{
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(bytes)], name, {{type: 'image/png'}}));
                ({act})(transfer);
            }}""",
            [list(png(image)), name],
        )
        self.page.locator("#pictures img").first.wait_for()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith((f"{self.origin}/", "blob:", "data:")):
            self.problems.append(f"request to elsewhere: {request.url}")


def opened(path: Path) -> Image.Image:
    """The picture in a file, which is closed again."""
    return Image.open(io.BytesIO(path.read_bytes()))


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def context_options(**changes: Any) -> dict[str, Any]:
    """Of a browser's context: what all tests share."""
    return {"viewport": {"width": 1280, "height": 900}, "permissions": ["clipboard-read", "clipboard-write"], **changes}
