"""Each Dockerfile against the tree: what it copies, installs, and runs, and as whom."""

import re
import shlex
import tomllib
from glob import glob

import pytest

from bagel import __version__
from tests.images.commands import accept
from tests.images.composing import flag
from tests.images.dockerfiles import (
    FOLDER,
    SERVICES,
    Instruction,
    Stage,
    argument_defaults,
    context_files,
    stages_of,
)
from tests.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# All that an image may have of Debian's beyond its base: libraries that Mooncake's wheel links, and their plugins.
LIBRARIES = {"ibverbs-providers", "libcurl4", "libibverbs1", "libnuma1"}
STAGES = ("thinker", "dit")

each_service = pytest.mark.parametrize("service", SERVICES)


def last(service: str) -> Stage:
    return stages_of(service)[-1]


def installs(service: str) -> list[list[str]]:
    """The words of every `pip install` of the builder."""
    runs = [shlex.split(run.value) for run in stages_of(service)[0].all("RUN")]
    return [words for words in runs if words[1:2] == ["install"]]


def copied(stage: Stage) -> set[str]:
    """Files of the context that a stage copies."""
    found = set()
    for copy in stage.all("COPY"):
        for source in copy.sources if copy.origin is None else ():
            matches = [path.removeprefix(f"{ROOT}/") for path in glob(str(ROOT / source))]
            found |= {
                file for file in context_files() for match in matches if file == match or file.startswith(match + "/")
            }
    return found


@each_service
def test_everything_that_is_copied_is_in_the_context(service: str) -> None:
    files = context_files()
    for stage in stages_of(service):
        for copy in stage.all("COPY"):
            for source in copy.sources if copy.origin is None else ():
                matches = glob(str(ROOT / source))
                assert matches, f"{source} is not in the tree"
                for match in matches:
                    name = match.removeprefix(f"{ROOT}/")
                    assert any(file == name or file.startswith(name + "/") for file in files), f"{name} is ignored"


@each_service
def test_what_the_wheel_is_made_of_is_copied(service: str) -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    files = copied(stages_of(service)[0])
    for part in (*wheel, *PROJECT["project"]["license-files"], PROJECT["project"]["readme"], "pyproject.toml"):
        assert any(file == part or file.startswith(part + "/") for file in files), part
    assert "models/toy/ema.safetensors" in files


def test_the_context_holds_no_secrets_and_nothing_that_was_made() -> None:
    files = context_files()
    assert not [file for file in files if "__pycache__" in file or file.startswith((".", "out/", "build/", "tests/"))]
    assert not [file for file in files if file.endswith((".jsonl", ".pem", ".key"))]


@each_service
def test_stages_have_one_slim_base_of_a_full_version(service: str) -> None:
    bases = {stage.base for each in SERVICES for stage in stages_of(each)}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", last(service).base)


@each_service
def test_the_image_installs_no_compiler_and_nothing_by_pip(service: str) -> None:
    for run in last(service).all("RUN"):
        assert "pip" not in shlex.split(run.value)
        if "apt-get install" in run.value:
            packages = run.value.split("--no-install-recommends")[1].split("&&")[0].split()
            assert set(packages) == LIBRARIES


@each_service
def test_the_builder_pins_what_it_installs_and_names_known_extras(service: str) -> None:
    for words in installs(service):
        assert words[words.index("--constraint") + 1] == "constraints.txt"
    project = next(words[-1] for words in installs(service) if words[-1].startswith("."))
    extras = set(re.sub(r"\$\{.*\}", "", project).strip(".[]").split(","))
    assert extras == ({"otel"} if service == "gateway" else {"stage", "otel"})
    assert extras <= set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("service", STAGES)
def test_a_stage_takes_torch_for_a_cpu_unless_it_is_told(service: str) -> None:
    torch = next(words for words in installs(service) if words[-1] == "torch")
    assert "--no-deps" in torch
    assert flag(torch, "--index-url") == "https://download.pytorch.org/whl/${TORCH}"
    assert argument_defaults(stages_of(service)[0]) == {"TORCH": "cpu", "MOONCAKE": ""}
    assert re.search(r"^torch==\d", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    offered = set(re.findall(r"\bmooncake(?:-\w+)?", (FOLDER / f"{service}.Dockerfile").read_text().split("FROM")[1]))
    assert offered <= set(PROJECT["project"]["optional-dependencies"])


def test_the_gateway_installs_no_torch() -> None:
    text = "".join(run.value for stage in stages_of("gateway") for run in stage.all("RUN"))
    assert "torch" not in text
    assert "stage" not in text


@each_service
def test_the_image_runs_as_a_user_of_its_own_that_it_makes(service: str) -> None:
    uid, _, gid = last(service).only("USER").value.partition(":")
    made = " ".join(run.value for run in last(service).all("RUN"))
    assert (
        f"useradd --uid {uid} --gid bagel --no-create-home --home-dir /tmp --shell /usr/sbin/nologin {service}" in made
    )
    assert f"groupadd --gid {gid} bagel" in made
    others = {last(other).only("USER").value.partition(":")[0] for other in SERVICES if other != service}
    assert uid not in others | {"0"}


@each_service
def test_the_entry_point_takes_its_default_flags_and_the_check_looks_at_the_same_port(service: str) -> None:
    stage = last(service)
    entry, flags = stage.only("ENTRYPOINT").words, stage.only("CMD").words
    assert entry == ["python", "-m", f"services.{service}"]
    accept([*entry, *flags])
    check = _check(stage.only("HEALTHCHECK"))
    accept(check)
    port = stage.only("EXPOSE").value
    assert f":{port}" in check[-1]
    assert service == "gateway" or flag(flags, "--bind") == f"0.0.0.0:{port}"
    copied_to = {copy.target for copy in stage.all("COPY")}
    assert check[1] in copied_to


@each_service
def test_the_image_says_its_version_and_stops_by_the_signal_that_drains(service: str) -> None:
    stage = last(service)
    assert argument_defaults(stage)["VERSION"] == __version__
    assert 'org.opencontainers.image.version="${VERSION}"' in stage.only("LABEL").value
    assert stage.only("STOPSIGNAL").value == "SIGTERM"


def test_thinker_and_dit_share_every_layer_but_their_names() -> None:
    """What an engine has built for one it has built for the other."""
    named = {"LABEL", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    thinker, dit = (
        [[each for each in stage.instructions if each.name not in named] for stage in stages_of(service)]
        for service in STAGES
    )
    assert thinker == dit


def _check(instruction: Instruction) -> list[str]:
    flags, _, command = instruction.value.partition("CMD ")
    assert not flags.strip(), "flags come first"
    return Instruction("CMD", (), command).words
