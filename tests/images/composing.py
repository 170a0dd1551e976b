"""Compose files as `docker compose` understands them: its own binary renders them, no engine is asked."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT

ONE_NODE = "docker-compose.yml"
STAGES = ("deploy/compose/head.yml", "deploy/compose/thinker.yml", "deploy/compose/dit.yml")
FILES = (ONE_NODE, *STAGES)
# What a file for several nodes asks for.
NAMED = {"MASTER_ADDRESS": "10.0.0.1", "ADVERTISE_ADDRESS": "10.0.0.3", "JOIN_TOKEN_FILE": "./join-token"}
EVERYTHING = "cpu,gpu,rdma,observability"


def tool(name: str) -> str:
    """Where a program is: beside this Python, or on the path. Skips the test without it."""
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    found = shutil.which(name, path=beside)
    if found is None:
        pytest.skip(f"{name} is missing: pip install --editable '.[stage,dev]'")
    return found


def compose(
    file: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `docker compose -f file ...` with an environment of that alone."""
    command = [tool("docker-compose"), "-f", str(ROOT / file), *arguments]
    told = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(environment or {})}
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=60)


def rendered(file: str, **environment: str) -> dict[str, Any]:
    """A file with its variables filled in; services of every profile unless COMPOSE_PROFILES says which."""
    needed = {} if file == ONE_NODE else NAMED
    told = {"COMPOSE_PROFILES": EVERYTHING, **needed, **environment}
    done = compose(file, "config", "--format", "json", environment=told)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def service_of(spec: dict[str, Any]) -> str:
    """Which Dockerfile a service of a compose file is built from."""
    return Path(spec["build"]["dockerfile"]).name.removesuffix(".Dockerfile")


def seconds(text: str) -> int:
    """A time of a compose file: `45s`, `1m15s`."""
    minutes, _, rest = text.rpartition("m")
    return 60 * int(minutes or 0) + int(rest.removesuffix("s") or 0)


def flag(words: list[str], name: str) -> str | None:
    """What follows a flag in a command; None where it is not given."""
    return words[words.index(name) + 1] if name in words else None
