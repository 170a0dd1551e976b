"""docs/clients.md as tests read it: its programs and settings are run as they stand, but for the server's address."""

import re

from tests.processes import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text()
ADDRESS = "http://localhost:8091"


def shown(heading: str, url: object, page: str = PAGE) -> str:
    """The code under a heading, for the server at `url`."""
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert found, heading
    assert ADDRESS in found[1]
    return found[1].replace(ADDRESS, str(url).rstrip("/"))
