"""The documents as tests read them: headings, links, tables, blocks of code, and the commands in them.

Knows Markdown as this project writes it: `#` headings, tables with a head, fenced blocks, and blocks indented by four.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.processes import ROOT

PLACES = (
    "*.md",
    "docs/*.md",
    "examples/*.md",
    "examples/node/*.md",
    "models/*/*.md",
    "training/*.md",
    "deploy/**/*.md",
)
SHELLS = ("sh", "bash", "shell", "console")
# Blocks that are indented hold drawings and files, too: these begin a command there.
PROGRAMS = (
    "apt-get", "bagel", "bash", "buf", "cd", "chgrp", "chmod", "cp", "curl", "docker", "docker-compose", "export",
    "git", "hadolint", "jupyter", "kill", "kubectl", "make", "mkdir", "mooncake_master", "node", "npm", "openssl",
    "pip", "python", "python3", "ray", "shellcheck", "ss", "sudo", "vllm",
)  # fmt: skip
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)!?\[(?:[^\[\]]|\[[^\]]*\]|`[^`]*`)*\]\(([^()\s]+)\)")
_ASSIGNED = re.compile(r"^(?:[A-Z_][A-Z0-9_]*=\S* )+")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code: its language ("" where it is indented), its text, and the section that it stands in."""

    language: str
    text: str
    section: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it is shown, continued lines joined, its comment apart."""

    page: str
    line: str
    comment: str
    section: str

    @property
    def words(self) -> str:
        """Without the environment's folder and with single spaces: how tests name it."""
        return " ".join(self.line.replace(".venv/bin/", "").split())


@dataclass(frozen=True, slots=True)
class Page:
    """One document."""

    path: Path

    @property
    def name(self) -> str:
        """From the root."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Without blocks of code."""
        fenced = _FENCE.sub("", self.text)
        return re.sub(r"^ {4}.*$", "", fenced, flags=re.MULTILINE)

    def anchors(self) -> set[str]:
        """Of every heading, as GitHub makes them; a second one of a name has -1 behind it."""
        found: dict[str, int] = {}
        for title in re.findall(r"^#+ (.*)$", _FENCE.sub("", self.text), re.MULTILINE):
            slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
        return {slug if n == 0 else f"{slug}-{n}" for slug, last in found.items() for n in range(last + 1)}

    def links(self) -> list[str]:
        """Targets of links and pictures."""
        sources = re.findall(r'<(?:img|a)\b[^>]*?\b(?:src|href)="([^"]+)"', self.prose)
        return [*_LINK.findall(self.prose), *sources]

    def sections(self) -> Iterator[str]:
        """From heading to heading, each with its own."""
        shaded = _FENCE.sub(lambda block: block[0].replace("\n#", "\n\0"), self.text)
        for section in re.split(r"^(?=#+ )", shaded, flags=re.MULTILINE):
            if section:
                yield section.replace("\0", "#")

    def blocks(self) -> Iterator[Block]:
        """Every block of code, in order within its section: first the fenced ones."""
        for section in self.sections():
            for found in _FENCE.finditer(section):
                yield Block(found[1], found[2], section)
            plain = _FENCE.sub("\n", section)
            # Behind an empty line or a heading: else it goes on with a list's item.
            for indented in re.findall(r"(?:\n\n|^#[^\n]*\n)((?: {4}.*\n|\n(?= {4}))+)", plain):
                yield Block("", re.sub(r"^ {4}", "", indented, flags=re.MULTILINE), section)

    def commands(self) -> Iterator[Command]:
        """Every command of a shell's block, and every one that begins with a known program in an indented block."""
        for block in self.blocks():
            if block.language in SHELLS or not block.language:
                for line, comment in _logical(block.text):
                    if block.language in SHELLS or _is_command(line):
                        yield Command(self.name, line, comment, block.section)

    def tables(self, heading: str) -> Iterator[list[str]]:
        """Rows of the tables of a section, without their heads; cells as they are written."""
        section = next(each for each in self.sections() if re.match(rf"#+ {re.escape(heading)}\n", each))
        rows = [line for line in section.splitlines() if line.startswith("|")]
        for index, row in enumerate(rows):
            below = rows[index + 1] if index + 1 < len(rows) else ""
            if not row.startswith("|--") and not below.startswith("|--"):
                yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


@cache
def pages() -> tuple[Page, ...]:
    """All of them."""
    return tuple(
        Page(path) for place in PLACES for path in sorted(ROOT.glob(place)) if "node_modules" not in path.parts
    )


def page(name: str) -> Page:
    """One by its path from the root."""
    return Page(ROOT / name)


def _is_command(line: str) -> bool:
    first = _ASSIGNED.sub("", line).split(" ", 1)[0]
    return first in PROGRAMS or first.endswith(".sh") or "/bin/" in first


def _logical(text: str) -> Iterator[tuple[str, str]]:
    """Lines with those that go on in the next one joined, and their comments. Output behind `$ ` lines is left out."""
    pending, transcript = "", any(line.startswith("$ ") for line in text.splitlines())
    for raw in text.splitlines():
        if transcript and not pending and not raw.startswith("$ "):
            continue
        line = pending + raw.removeprefix("$ ")
        if line.endswith("\\"):
            pending = line[:-1]
        elif line.count("'") % 2 and " #" not in line:
            pending = line + "\n"
        else:
            pending = ""
            command, _, comment = line.partition(" #")
            if command.strip() and not command.startswith("#") and not _ASSIGNED.fullmatch(command.strip() + " "):
                yield command.strip(), comment.strip()
