"""What a tag sets off fits the tree: one version everywhere, and a workflow whose commands and files are there."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bagel import __version__
from tests.processes import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
NOTES = ROOT / ".github" / "release_notes.py"
TAG = f"v{__version__}"
# What release_notes.py reads, under the folder that it is run in.
READ = (".github/release_notes.py", "pyproject.toml", "CHANGELOG.md", "bagel/__init__.py")


def notes(tag: str, script: Path = NOTES) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(script), tag], capture_output=True, text=True, check=False, timeout=30)


def steps() -> list[dict[str, object]]:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_a_tag_of_this_version_has_words_in_the_changelog() -> None:
    done = notes(TAG)
    assert done.returncode == 0, done.stderr
    assert "### Added" in done.stdout
    assert "\n## " not in done.stdout
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("CHANGELOG.md", f"## [{__version__}]", "## [0.0.7]", "CHANGELOG.md has no heading for"),
        ("pyproject.toml", f'version = "{__version__}"', 'version = "0.0.7"', "the version of pyproject.toml"),
        ("bagel/__init__.py", __version__, "0.0.7", "the version of bagel/__init__.py"),
    ],
)
def test_a_version_that_differs_somewhere_is_no_release(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    for each in READ:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / each, tmp_path / each)
    changed = (tmp_path / name).read_text().replace(old, new, 1)
    (tmp_path / name).write_text(changed)
    done = notes(TAG, tmp_path / READ[0])
    assert done.returncode == 1
    assert said in done.stderr
    assert notes("v9.9.9").returncode == notes(__version__).returncode == 1


def test_the_workflow_is_one() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_its_commands_and_files_are_there() -> None:
    commands = "\n".join(str(step.get("run", "")) for step in steps())
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = set(re.findall(r"^make ([a-z0-9 -]+)$", commands, re.MULTILINE))
    assert {"wheel", "wheel-test", "sbom"} <= made <= targets
    assert (ROOT / ".ci" / "run").is_file()
    assert ".ci/run" in commands
    assert "python .github/release_notes.py" in commands
    assert "$GITHUB_REF_NAME" in commands


def test_it_builds_every_image_with_arguments_that_its_file_takes() -> None:
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["images"]
    services = {entry["service"] for entry in job["strategy"]["matrix"]["include"]}
    assert services == {path.name.partition(".")[0] for path in (ROOT / "deploy" / "docker").glob("*.Dockerfile")}
    (build,) = (step for step in job["steps"] if "build-push-action" in step.get("uses", ""))
    assert build["with"]["file"] == "deploy/docker/${{ matrix.service }}.Dockerfile"
    given = {line.partition("=")[0] for line in build["with"]["build-args"].split()}
    for entry in job["strategy"]["matrix"]["include"]:
        text = (ROOT / "deploy" / "docker" / f"{entry['service']}.Dockerfile").read_text()
        wanted = {name.upper() for name in entry if name not in ("service", "suffix")}
        assert wanted | {"VERSION"} <= set(re.findall(r"^ARG (\w+)", text, re.MULTILINE)) & given


def test_it_may_write_only_where_it_publishes() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    written = {
        name: {right for right, level in job["permissions"].items() if level == "write"}
        for name, job in workflow["jobs"].items()
    }
    assert written == {"package": set(), "images": {"packages"}, "publish": {"contents"}}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    for step in steps():
        assert "${{" not in str(step.get("run", ""))  # a name of a tag is no part of a script
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", str(step.get("uses", "a/b@v1")))
