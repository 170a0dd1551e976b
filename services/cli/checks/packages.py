"""Installed packages against what the project asks for, and torch with the GPUs that it sees."""

import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from bagel import __version__
from services.cli.checks.findings import Finding, fail, ok, size, warn
from services.cli.checks.probe import probe

NAME = "bagel-serve"
STAGE = "stage"  # the extra of Thinker and DiT
PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"  # of a checkout
NVIDIA = Path("/proc/driver/nvidia/version")


def check_packages() -> Iterator[Finding]:
    """Those that every process needs, then those of the stages."""
    yield ok(NAME, __version__)
    wanted = _requirements()
    if wanted is None:
        cure = f"install it with pip install {NAME}, or run it from a checkout"
        yield warn("packages", f"{NAME} is not installed, so nobody knows what it needs", cure)
        return
    base, stage = wanted
    problems = [problem for one in base if (problem := _problem(one))]
    if problems:
        yield fail("packages", "; ".join(problems), f"pip install {NAME}")
    else:
        yield ok("packages", f"{len(base)} of gateway and client are here")
    problems = [problem for one in stage if (problem := _problem(one))]
    if problems:
        cure = f"clients and a gateway run without; for Thinker and DiT: pip install '{NAME}[{STAGE}]'"
        yield warn("stage packages", "; ".join(problems), cure)
    else:
        yield ok("stage packages", f"{len(stage)} of Thinker and DiT are here")


def check_torch() -> Iterator[Finding]:
    """Whether torch loads, and the GPUs. Takes seconds."""
    if not _installed("torch"):
        return  # told with the packages
    found = probe("torch")
    if "problem" in found:
        cure = "install it again; https://pytorch.org/get-started tells the build for this machine"
        yield fail("torch", f"does not load: {found['problem']}", cure)
        return
    cuda = found["cuda"]
    build = f"for CUDA {cuda}" if cuda else "for CPUs"
    yield ok("torch", f"{found['version']} {build}, {found['threads']} threads")
    gpus = found["gpus"]
    assert isinstance(gpus, list)
    for index, gpu in enumerate(gpus):
        text = f"{gpu['name']}, {size(gpu['free'])} of {size(gpu['total'])} free"
        if gpu["bfloat16"]:
            yield ok(f"gpu {index}", text)
        else:
            yield warn(f"gpu {index}", f"{text}, computes bfloat16 slowly", "serve with --dtype float32, or on the CPU")
    if gpus:
        return
    if NVIDIA.exists():
        yield fail("gpu", "NVIDIA's driver is here, but torch sees no GPU", _no_gpu(bool(cuda)))
    else:
        yield warn("gpu", "none", "the toy model needs none; the official one takes minutes a picture without")


def _no_gpu(built_for_cuda: bool) -> str:
    if built_for_cuda:
        return "compare the driver with torch's CUDA version (nvidia-smi), and look at CUDA_VISIBLE_DEVICES"
    return "this torch is built for CPUs: install a CUDA build, see https://pytorch.org/get-started"


def _requirements() -> tuple[list[Requirement], list[Requirement]] | None:
    """Of every process, and of the stages; None when nothing tells."""
    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return _of_checkout()
    all_of = [Requirement(line) for line in lines]
    base = [one for one in all_of if one.marker is None or one.marker.evaluate({"extra": ""})]
    more = [one for one in all_of if one.marker is not None and one.marker.evaluate({"extra": STAGE})]
    return base, [one for one in more if one not in base]


def _of_checkout() -> tuple[list[Requirement], list[Requirement]] | None:
    try:
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
        base = [Requirement(line) for line in project["dependencies"]]
        stage = [Requirement(line) for line in project["optional-dependencies"][STAGE]]
    except (OSError, KeyError, tomllib.TOMLDecodeError, InvalidRequirement):
        return None
    return [one for one in base if one.marker is None or one.marker.evaluate()], stage


def _problem(wanted: Requirement) -> str | None:
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    if not wanted.specifier.contains(version, prereleases=True):
        return f"{wanted.name} is {version}, wanted is {wanted.specifier}"
    return None


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
