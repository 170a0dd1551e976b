"""Blocks of code are what they say they are; deploy files among them are taken by the loader."""

import ast
import json
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import Block, pages
from tests.services.launch.plans import deployed

BLOCKS = [(document.name, block) for document in pages() for block in document.blocks() if block.language]
KNOWN = {"python", "yaml", "json", "js", "sh", "proto", "text"}
DEPLOY = [pair for pair in BLOCKS if pair[1].language == "yaml" and "\nstages:" in "\n" + pair[1].text]


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_block_can_be_read(name: str, block: Block) -> None:
    assert block.language in KNOWN, name
    match block.language:
        case "python":
            ast.parse(block.text)
        case "yaml":
            assert list(yaml.safe_load_all(block.text))
        case "json":
            json.loads(block.text)


@pytest.mark.parametrize(("name", "block"), DEPLOY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_deploy_file_is_taken(name: str, block: Block, tmp_path: Path) -> None:
    assert deployed(tmp_path, block.text, platform="cuda").part.stages, name


def test_there_are_deploy_files() -> None:
    assert {name for name, _ in DEPLOY} >= {"docs/deploy.md", "docs/transport.md", "docs/deployment.md"}
