"""Dockerfiles as tests see them: stages of instructions, and which files a build may copy. Reads them, runs nothing."""

import json
import re
import shlex
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from dockerfile_parse import DockerfileParser

from tests.processes import ROOT

SERVICES = ("gateway", "thinker", "dit")
FOLDER = ROOT / "deploy/docker"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of them: its name in capitals, its flags (`--from=builder`), and the rest."""

    name: str
    flags: tuple[str, ...]
    value: str

    @property
    def words(self) -> list[str]:
        """The rest as a command in exec form. Raises ValueError where it is a line for a shell."""
        found = json.loads(self.value)
        assert isinstance(found, list)
        return found

    @property
    def origin(self) -> str | None:
        """The stage that a COPY takes from; None for the build's context."""
        return next((flag.removeprefix("--from=") for flag in self.flags if flag.startswith("--from=")), None)

    @property
    def sources(self) -> list[str]:
        """What a COPY copies."""
        return shlex.split(self.value)[:-1]

    @property
    def target(self) -> str:
        """Where a COPY copies to."""
        return shlex.split(self.value)[-1]


@dataclass(frozen=True, slots=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str | None
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        return [each for each in self.instructions if each.name == name]

    def only(self, name: str) -> Instruction:
        """The one instruction of that name."""
        (found,) = self.all(name)
        return found


def stages_of(service: str) -> tuple[Stage, ...]:
    """The stages of a service's Dockerfile."""
    with (FOLDER / f"{service}.Dockerfile").open("rb") as file:
        structure = DockerfileParser(fileobj=file).structure
    stages: list[Stage] = []
    for entry in structure:
        if entry["instruction"] == "COMMENT":
            continue
        found = _instruction(entry["instruction"].upper(), entry["value"])
        if found.name == "FROM":
            base, _, name = found.value.partition(" AS ")
            stages.append(Stage(base, name or None, ()))
        else:
            last = stages.pop()
            stages.append(Stage(last.base, last.name, (*last.instructions, found)))
    return tuple(stages)


def argument_defaults(stage: Stage) -> dict[str, str]:
    """The ARGs of a stage with their defaults; empty where there is none."""
    return {name: default for name, _, default in (each.value.partition("=") for each in stage.all("ARG"))}


def context_files() -> set[str]:
    """Every file of the tree that `.dockerignore` lets into a build, as a path from the root."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    tops = {rule[1:].split("/")[0] for rule in rules if rule.startswith("!")}
    found = (path for top in tops for path in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*")))
    return {name for path in found if path.is_file() and not ignored(name := str(path.relative_to(ROOT)), rules)}


def ignored(path: str, rules: list[str]) -> bool:
    """Whether the rules keep a path out: the last that fits it, or a folder above it, decides."""
    out = False
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for rule in rules:
        if any(_fits(rule.removeprefix("!"), each) for each in above):
            out = not rule.startswith("!")
    return out


def _fits(pattern: str, path: str) -> bool:
    """As Docker reads patterns: `**` is any number of folders, `*` stays within one."""
    if pattern.startswith("**/"):
        return _fits(pattern[3:], Path(path).name)
    if pattern.count("/") != path.count("/"):
        return False
    return all(
        re.fullmatch(translate(one), other) for one, other in zip(pattern.split("/"), path.split("/"), strict=True)
    )


def _instruction(name: str, value: str) -> Instruction:
    flags = []
    while match := re.match(r"(--[a-z-]+=\S+)\s+", value):
        flags.append(match[1])
        value = value[match.end() :]
    return Instruction(name, tuple(flags), value)
