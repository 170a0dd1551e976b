"""A headless Chromium, wherever the machine has one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


class NoChromiumError(Exception):
    """There is none."""


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Playwright's own Chromium, else the system's. Raises NoChromiumError saying how to get one.

    While it is open no event loop can be run in this thread.
    """
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = own if Path(own).exists() else next(filter(None, map(shutil.which, NAMES)), None)
        if path is None:
            raise NoChromiumError("no Chromium: run `playwright install chromium`, or install the package `chromium`")
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()
