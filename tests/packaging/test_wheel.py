"""The wheel holds what a user needs and nothing else, and a fresh environment draws with it."""

import os
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image

from bagel import __version__
from tests.packaging.conftest import Installed
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import ROOT

START_TIMEOUT_S, STOP_TIMEOUT_S = 90.0, 60.0
# Where the wheel has what lies elsewhere in the tree.
MOVED = {"models/toy/": "bagel/presets/toy/", "deploy/": "bagel/presets/deploy/"}


def sources() -> set[str]:
    """The files of this tree that belong into a wheel, under their names there."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    found = set()
    for name in done.stdout.splitlines():
        if not (ROOT / name).is_file():
            continue
        if name.startswith(("bagel/", "services/", "transport/")):
            found.add(name)
        elif name.startswith("models/toy/") or (name.startswith("deploy/bagel") and name.endswith(".yaml")):
            (was,) = (folder for folder in MOVED if name.startswith(folder))
            found.add(MOVED[was] + name.removeprefix(was))
    return found


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"bagel_serve-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert inside == sources()
    # Said here too, since a pattern above may be as wrong as the wheel.
    assert {
        "services/gateway/playground/index.html", "services/gateway/pages/docs.html",
        "bagel/presets/toy/ema.safetensors", "bagel/presets/deploy/bagel_single_stage.yaml",
        "bagel/presets/bagel-7b-mot/tokenizer.json",
    } <= inside  # fmt: skip
    assert not [
        name for name in inside if name.startswith(("tests/", "training/", "benchmarks/", "examples/", "docs/"))
    ]


def test_the_sdist_holds_what_the_wheel_is_built_from(wheel: Path) -> None:
    with tarfile.open(wheel.with_name(f"bagel_serve-{__version__}.tar.gz")) as opened:
        inside = {name.partition("/")[2] for name in opened.getnames()}
    tops = {name.partition("/")[0] for name in inside}
    assert tops == {
        "bagel", "services", "transport", "models", "deploy", "protos", "pyproject.toml", "constraints.txt",
        "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO", ".gitignore",
    }  # fmt: skip


def test_a_fresh_environment_serves_a_cat(installed: Installed) -> None:
    with _serving(installed) as url:
        drawn = installed.run("bagel", "generate", "A cat", "-o", "cat.png", "--url", url)
        assert drawn.returncode == 0, drawn.stdout + drawn.stderr
        with Image.open(installed.folder / "cat.png") as picture:
            picture.load()
            assert (picture.format, picture.size) == ("PNG", (256, 256))
        told = installed.run("bagel", "describe", "cat.png", "--url", url)
        assert told.returncode == 0, told.stderr
        assert told.stdout.strip()
        assert "<title>" in httpx.get(url, timeout=10).text
        assert httpx.get(f"{url}/docs", timeout=10).is_success


def test_bundled_deploy_files_are_found_by_name(installed: Installed) -> None:
    for path in sorted((ROOT / "deploy").glob("bagel*.yaml")):
        checked = installed.run("bagel", "config", "check", path.name)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@contextmanager
def _serving(installed: Installed) -> Iterator[str]:
    """`bagel serve` in the empty folder; its URL once everything is there."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    log = installed.folder.parent / "serve.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [installed.bin / "bagel", "serve", "--port", str(port)],
            cwd=installed.folder, env=installed.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
        try:
            wait_until(lambda: child.poll() is not None or _ready(url), log.read_text, START_TIMEOUT_S)
            assert child.poll() is None, log.read_text()
            yield url
        finally:
            os.kill(child.pid, signal.SIGTERM)
            status = child.wait(STOP_TIMEOUT_S)
    assert status == 0, log.read_text()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False
