"""Screenshots of the playground with its results: `python -m tests.playground.screenshots` writes those in docs/."""

import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize

from tests.e2e.server import Server, running_server
from tests.playground.browsing import open_browser
from tests.playground.driver import GOOD, Playground, context_options, opened
from tests.processes import ROOT

MOST_BYTES = 200_000
WIDE = ViewportSize(width=1200, height=800)
VIEWS: dict[str, tuple[Literal["light", "dark"], ViewportSize]] = {
    "light": ("light", WIDE),
    "dark": ("dark", WIDE),
    "phone": ("light", ViewportSize(width=390, height=844)),
}


def take(browser: Browser, server: Server, folder: Path, **settings: str) -> list[Path]:
    """All views of one page with its results, as PNGs in a folder."""
    with browser.new_context(**context_options()) as context:
        playground = Playground(context.new_page(), server)
        playground.open()
        page = playground.page
        playground.enter("Text to picture", "A red circle on a white background", **settings)
        playground.run().get_by_role("button", name="Edit this").click()
        playground.enter("Edit a picture", "Make the circle blue", **settings)
        playground.run()
        page.locator("#more > summary").click()
        page.evaluate("document.activeElement.blur()")
        return [_shot(page, name, folder / f"{name}.png") for name in VIEWS]


def _shot(page: Page, name: str, path: Path) -> Path:
    scheme, size = VIEWS[name]
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(size)
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)
    # A page has few colours: a palette saves half.
    opened(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(path, optimize=True)
    return path


def main() -> int:
    """Write all views into docs/evidence/playground."""
    folder = ROOT / "docs/evidence/playground"
    folder.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser, running_server() as server:
        for path in take(browser, server, folder, **GOOD):
            print(path.relative_to(ROOT), path.stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
