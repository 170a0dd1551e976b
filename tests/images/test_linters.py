"""What others say of Dockerfiles, shell scripts and compose files."""

import subprocess

import pytest

from tests.images.composing import EVERYTHING, FILES, NAMED, compose, tool
from tests.images.dockerfiles import FOLDER, SERVICES
from tests.processes import ROOT


def shell_scripts() -> list[str]:
    """Files of the repository that a shell runs."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [name for name in files if name.endswith(".sh") or _starts_a_shell(name)]


def _starts_a_shell(name: str) -> bool:
    with (ROOT / name).open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.rstrip().endswith((b"/sh", b"/bash", b" sh", b" bash"))


@pytest.mark.parametrize("profile", EVERYTHING.split(","))
@pytest.mark.parametrize("file", FILES)
def test_compose_takes_every_file_with_every_profile(file: str, profile: str) -> None:
    done = compose(file, "--profile", profile, "config", "-q", environment=NAMED)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_hadolint_has_nothing_to_say(service: str) -> None:
    command = [tool("hadolint"), "--failure-threshold", "style", str(FOLDER / f"{service}.Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_has_nothing_to_say() -> None:
    scripts = shell_scripts()
    assert {".ci/run", "deploy/scripts/run_server.sh", "deploy/scripts/run_server_stage_cli.sh"} <= set(scripts)
    done = subprocess.run([tool("shellcheck"), *scripts], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
