"""Every command that a document shows is run: here against a server, by a test that is named, or it is told why not."""

import contextlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bagel.stage_flags import add_stage_flags
from services.cli.main import app
from services.gateway.__main__ import read_flags
from services.registry.__main__ import main as registry_main
from tests.docs.pages import Command, page, pages
from tests.docs.runs import REASONS, TABLE, By, Here, Needs, how
from tests.docs.test_links import FOLDERS
from tests.e2e.deployed import command_on_path
from tests.e2e.server import Server, running_server
from tests.processes import ROOT

COMMANDS = [command for document in pages() for command in document.commands()]
OURS = sorted({command.words for command in COMMANDS if re.match(r"(?:bagel|python -m services\.\w+) ", command.words)})
TIMEOUT_S = 60.0
MADE: tuple[str, ...] = ()  # files that a reader makes


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_command_has_a_way_to_be_run() -> None:
    unknown = [f"{command.page}: {command.line}" for command in COMMANDS if how(command.words) is None]
    assert not unknown, "add these to tests/docs/runs.py: " + "\n".join(unknown)


def test_every_entry_is_of_a_command() -> None:
    """Or of one that stands within a sentence."""
    used, text = {id(how(command.words)) for command in COMMANDS}, "".join(document.text for document in pages())
    unused = [pattern for pattern, way in TABLE.items() if id(way) not in used and f"`{pattern}`" not in text]
    assert not unused, unused


@pytest.mark.parametrize("pattern", [pattern for pattern, way in TABLE.items() if isinstance(way, By)])
def test_what_runs_it_is_there_and_has_its_words(pattern: str) -> None:
    way = TABLE[pattern]
    assert isinstance(way, By)
    first = way.files[0]
    assert re.fullmatch(r"tests/(?:\w+/)*(?:test_\w+|conftest)\.py|Makefile|\.ci/run", first), first
    text = "".join((ROOT / file).read_text() for file in way.files)
    for word in way.words:
        assert word in text, f"{word} is not in {way.files}"


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if isinstance(how(command.words), Needs)],
    ids=lambda each: each.words[:60],
)
def test_what_is_not_run_says_in_the_document_what_it_takes(command: Command) -> None:
    way = how(command.words)
    assert isinstance(way, Needs)
    assert way.said in REASONS
    beginning = next(iter(page(command.page).sections()))
    assert way.said in flat(beginning + command.section), (
        f"{command.page}: say near `{command.words}` that it takes {way.said}"
    )


@pytest.mark.parametrize("words", OURS)
def test_our_own_commands_are_taken_by_their_parsers(words: str) -> None:
    """Whoever runs it: no document shows a flag that there is not."""
    before, *arguments = shlex.split(re.split(r" (?:\||&&|>|&)(?: |$)", words)[0])
    arguments = [word for word in arguments if word != "..."]
    if before == "bagel":
        _parse(typer.main.get_command(app), "bagel", arguments)
        return
    match arguments:
        case ["-m", "services.gateway", *flags]:
            read_flags(flags)
        case ["-m", "services.registry", *flags]:
            with contextlib.redirect_stdout(io.StringIO()) as told, pytest.raises(SystemExit):
                registry_main(["--help"])
            assert {flag for flag in flags if flag.startswith("--")} <= set(re.findall(r"--[\w-]+", told.getvalue()))
        case ["-m", "services.thinker" | "services.dit", *flags]:
            import argparse

            parser = argparse.ArgumentParser()
            add_stage_flags(parser)
            parser.parse_args(flags)
        case _:
            raise AssertionError(words)


def _parse(command: Any, name: str, arguments: list[str]) -> None:
    """What the command line would be, without running it. Raises a usage error."""
    while arguments and arguments[0] in getattr(command, "commands", ()):
        name = arguments[0]
        command, arguments = command.commands[name], arguments[1:]
    command.make_context(name, list(arguments))


def test_files_of_this_project_in_commands_exist() -> None:
    for command in COMMANDS:
        for word in re.findall(rf"(?<![\w./])(?:{'|'.join(FOLDERS)})/[\w./-]*\w", command.line):
            assert (ROOT / word).exists() or word.rsplit("/", 1)[1] in MADE, f"{command.page}: {command.line}"


def test_modules_that_are_named_exist() -> None:
    for document in pages():
        for module in re.findall(r"python -m ([a-z_]+(?:\.\w+)+)", document.text):
            assert importlib.util.find_spec(module) is not None, f"{document.name}: {module}"


def test_commands_work_in_the_order_in_which_they_stand(server: Server, tmp_path: Path) -> None:
    """Those of all documents in one folder, each once, as after a clone; keys are made by several of them."""
    for name in ("examples", "models", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("deploy.yaml", "my.yaml"):
        (tmp_path / name).write_text("pipeline: bagel\n")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "python").symlink_to(sys.executable)
    environment = command_on_path(scripts) | {"BAGEL_URL": str(server.http.base_url)}
    ran: dict[str, str] = {}
    for command in COMMANDS:
        way = how(command.words)
        if command.words.startswith("curl ") and shutil.which("curl") is None:
            continue  # a person's own; what it asks is asked by others, too
        if isinstance(way, Here) and command.words not in ran:
            if command.page not in ran.values():
                (tmp_path / "api-keys.jsonl").unlink(missing_ok=True)
            ran[command.words] = command.page
            _run(command, way, server, tmp_path, environment)
    assert len(ran) > 10


def _run(command: Command, way: Here, server: Server, folder: Path, environment: dict[str, str]) -> None:
    line = command.line.replace(".venv/bin/", "").replace("localhost:8091", f"127.0.0.1:{server.http.base_url.port}")
    if "openai_chat_client.py" in line:
        line += f" -s http://127.0.0.1:{server.http.base_url.port}"
    for old, new in way.instead.items():
        line = line.replace(old, new)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{line} {way.also}"], cwd=folder, env=environment, capture_output=True,
        text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{command.page}: {line}\n{said}"
    assert way.prints in said, f"{command.page}: {line} printed no {way.prints!r}:\n{said}"
    assert '"error"' not in said
    if (answer := folder / "answer.json").exists():
        assert '"error"' not in answer.read_text()
        answer.unlink()


def test_the_python_client_of_the_page_works(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = next(block.text for block in page("docs/grpc.md").blocks() if block.language == "python")
    address = re.search(r"localhost:\d+", program)
    assert address is not None
    program = program.replace(address[0], server.grpc).replace("seed=7", "seed=7, num_inference_steps=4")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert (tmp_path / "cat.png").read_bytes().startswith(b"\x89PNG")
