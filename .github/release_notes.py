"""Prints what CHANGELOG.md says of the version that a tag names: `python .github/release_notes.py v0.1.0`.

Ends with 1 and a sentence when tag, pyproject.toml, bagel/__init__.py and CHANGELOG.md do not name the same version.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main(tag: str, root: Path = ROOT) -> int:
    """The exit status."""
    version = tag.removeprefix("v")
    source = (root / "bagel" / "__init__.py").read_text()
    named = {
        "pyproject.toml": tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"],
        "bagel/__init__.py": found[1]
        if (found := re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE))
        else "none",
    }
    for name, other in named.items():
        if tag != f"v{other}":
            print(f"the tag {tag} is not v and the version of {name}, which is {other}", file=sys.stderr)
            return 1
    notes = notes_of((root / "CHANGELOG.md").read_text(), version)
    if notes is None:
        print(f"CHANGELOG.md has no heading for {version}: ## [{version}] - YYYY-MM-DD", file=sys.stderr)
        return 1
    print(notes)
    return 0


def notes_of(changelog: str, version: str) -> str | None:
    """The text below a version's heading, up to the next one; None without such a heading."""
    heading = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)
    return None if heading is None else re.split(r"^## ", changelog[heading.end() :], flags=re.MULTILINE)[0].strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
