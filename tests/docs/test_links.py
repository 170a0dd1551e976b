"""Every link of the documents leads somewhere, every file that they name exists, and the index names every document."""

import re

import pytest

from tests.docs.pages import Page, page, pages
from tests.processes import ROOT

EXTERNAL = re.compile(r"https?://[\w.-]+\.[a-z]{2,}(?:/[\w./#%+~@=&?-]*)?$")
FOLDERS = (
    "benchmarks", "bagel", "deploy", "docs", "examples", "models", "protos", "services", "tests", "training",
    "transport",
)  # fmt: skip
TO_BE_MADE = ("deploy/NAME.yaml", "deploy/kustomize/overlays/mine/kustomization.yaml")  # by a reader
NAMED = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*\w")


@pytest.mark.parametrize("document", pages(), ids=lambda document: document.name)
def test_every_link_leads_somewhere(document: Page) -> None:
    for target in document.links():
        if target.startswith(("http:", "https:")):
            assert EXTERNAL.match(target), target
            continue
        file, _, anchor = target.partition("#")
        path = (document.path.parent / file).resolve() if file else document.path
        assert path.exists(), f"{document.name} links {target}"
        assert path.is_relative_to(ROOT), target
        if anchor:
            assert anchor in Page(path).anchors(), f"{document.name} links {target}: no such heading"


@pytest.mark.parametrize("document", pages(), ids=lambda document: document.name)
def test_every_file_that_is_named_exists(document: Page) -> None:
    """Between backticks, from the root."""
    for words in re.findall(r"`([^`\n]+)`", document.prose):
        for name in words.split():
            if NAMED.fullmatch(name) and "." in name.rsplit("/", 1)[1] and name not in TO_BE_MADE:
                assert (ROOT / name).exists(), f"{document.name} names {name}"


def test_the_index_names_every_document_once() -> None:
    linked = [target for target in page("docs/README.md").links() if "/" not in target]
    assert sorted(linked) == sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


def test_every_figure_that_is_named_is_told_of() -> None:
    told = set(re.findall(r"`(bagel_[a-z_]+)`", page("docs/observability.md").text))
    for document in pages():
        named = re.findall(
            r"`(bagel_[a-z_]+(?:_total|_seconds|_requests|_pages|_bytes|_ready|_ratio))\b", document.text
        )
        assert set(named) <= told, document.name


def test_headings_make_the_anchors_that_github_makes() -> None:
    assert "post-v1imagesgenerations" in page("docs/api.md").anchors()
    assert "keys" in page("docs/admission.md").anchors()
