"""The documents tell the truth about the tree and the commands."""

import re
import subprocess

from tests.docs.pages import pages
from tests.processes import ROOT

FILES = (ROOT / "docs" / "files.md").read_text()
LISTED = (
    "bagel", "bagel/model", "services/thinker", "services/dit", "services/gateway", "services/gateway/playground",
    "services/launch", "services/launch/deploy", "services/registry", "services/cli", "services/cli/client",
    "services/cli/checks", "transport", "examples", "benchmarks", "protos/bagel/v1",
)  # fmt: skip
SOURCES = (".py", ".proto", ".js")


def tree() -> dict[str, set[str]]:
    """Files by folder, as docs/files.md lists them."""
    found: dict[str, set[str]] = {}
    folder = ""
    for line in FILES.splitlines():
        if match := re.fullmatch(r"    (\S+)/(?: .*)?", line):
            folder = match[1]
            found[folder] = set()
        elif match := re.match(r"      (\S+\.(?:py|proto|js))\s", line):
            found[folder].add(match[1])
    return found


def test_the_tree_names_every_source_file_and_no_other() -> None:
    listed = tree()
    for folder in LISTED:
        files = {p.name for p in (ROOT / folder).iterdir() if p.suffix in SOURCES and p.name != "__init__.py"}
        assert listed[folder] == files, folder


def test_the_tree_names_every_folder_of_the_training() -> None:
    folders = {str(p.parent.relative_to(ROOT)) for p in (ROOT / "training").rglob("*.py")}
    assert folders <= set(tree())


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "".join(document.text for document in pages())
    named = set(re.findall(r"(?:^    |`)make ([a-z0-9-]+)", text, re.MULTILINE))
    assert {"demo", "test", "check"} <= named <= targets


def test_the_help_of_make_lists_the_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("demo", "test", "serve", "check", "parity", "parity-services", "protos"):
        assert f"{target} " in done.stdout
