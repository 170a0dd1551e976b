"""What a check found, and what to do about it: lines for people, or JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

import typer

NAME_COLUMNS = 16


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # something works worse, or not at all, that not everyone needs
    FAIL = "fail"


COLORS = {Level.OK: typer.colors.GREEN, Level.WARN: typer.colors.YELLOW, Level.FAIL: typer.colors.RED}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `cure` says what to do; it is empty when all is well."""

    level: Level
    name: str
    found: str
    cure: str = ""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, name, found)


def warn(name: str, found: str, cure: str) -> Finding:
    """Not for everyone."""
    return Finding(Level.WARN, name, found, cure)


def fail(name: str, found: str, cure: str) -> Finding:
    """It cannot work so."""
    return Finding(Level.FAIL, name, found, cure)


def report(findings: Iterable[Finding], *, as_json: bool) -> bool:
    """Print findings as they are made; whether none of them is a failure."""
    seen: list[Finding] = []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            _print(finding)
    good = all(finding.level is not Level.FAIL for finding in seen)
    if as_json:
        typer.echo(json.dumps({"ok": good, "findings": [asdict(finding) for finding in seen]}))
    return good


def size(num_bytes: int) -> str:
    """For people."""
    if num_bytes < 1 << 30:
        return f"{num_bytes / 2**20:.0f} MiB"
    return f"{num_bytes / 2**30:.1f} GiB"


def _print(finding: Finding) -> None:
    level = typer.style(f"{finding.level.value:<5}", fg=COLORS[finding.level])
    typer.echo(f"{level}{finding.name:<{NAME_COLUMNS}}{finding.found}")
    if finding.cure:
        typer.echo(f"{'':<{5 + NAME_COLUMNS}}-> {finding.cure}")
