"""Finding a model: folders, bundled configurations, and the hub's cache without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bagel import defaults
from bagel.checkpoint import OFFICIAL_ID, model_hash, resolve_model
from bagel.config import load_model_config
from bagel.errors import ConfigError
from tests.processes import ROOT

GOLDEN = ROOT / "tests" / "golden" / "checkpoint"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fill_cache(cache: Path, repository: str) -> Path:
    """A hub cache that holds the golden checkpoint under one commit of `main`."""
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    for path in GOLDEN.iterdir():
        (snapshot / path.name).symlink_to(path)
    return snapshot


def test_the_default_model_is_the_bundled_toy_with_its_weights() -> None:
    source = resolve_model(defaults.MODEL, load_format="auto")
    config = load_model_config(source.folder)
    assert (source.folder, source.name, source.dummy) == (ROOT / "models" / "toy", "toy", False)
    assert (config.token_pixels, config.default_image_side, config.max_image_side) == (16, 256, 768)


def test_the_toy_can_have_random_weights() -> None:
    source = resolve_model("toy", load_format="dummy")
    assert (source.folder, source.name, source.dummy) == (ROOT / "models" / "toy", "toy", True)


def test_the_toy_is_the_bundled_one_even_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_model("toy", load_format="auto").folder == ROOT / "models" / "toy"
    assert resolve_model("./toy", load_format="dummy").folder == tmp_path / "toy"


def resolve_toy_of_a_wheel(site: Path) -> "subprocess.CompletedProcess[str]":
    """`resolve_model` of an installed copy of the package, with nothing of the repository beside it."""
    if not (site / "bagel").exists():
        shutil.copytree(ROOT / "bagel", site / "bagel", ignore=shutil.ignore_patterns("presets", "__pycache__"))
    code = "from bagel.checkpoint import resolve_model; print(resolve_model('toy', load_format='dummy').folder)"
    return subprocess.run([sys.executable, "-c", code], cwd=site, capture_output=True, text=True, check=False)


def test_an_installed_wheel_has_the_toy_among_its_presets(tmp_path: Path) -> None:
    lost = resolve_toy_of_a_wheel(tmp_path)
    assert lost.returncode == 1
    assert "ConfigError: toy: the bundled model is not here" in lost.stderr
    (tmp_path / "bagel" / "presets" / "toy").mkdir(parents=True)
    found = resolve_toy_of_a_wheel(tmp_path)
    assert found.stdout.strip() == str(tmp_path / "bagel" / "presets" / "toy"), found.stderr


def test_the_official_sizes_are_bundled() -> None:
    source = resolve_model(OFFICIAL_ID, load_format="dummy")
    assert source.dummy
    assert load_model_config(source.folder).llm.hidden_size == 3584


def test_a_local_folder_is_taken_as_it_is() -> None:
    source = resolve_model(str(GOLDEN), load_format="auto")
    assert (source.folder, source.name, source.dummy) == (GOLDEN, "checkpoint", False)


def test_a_folder_without_weights_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks ema\.safetensors and ae\.safetensors"):
        resolve_model(str(tmp_path), load_format="auto")


def resolve_offline(cache: Path, model: str, revision: str | None) -> "subprocess.CompletedProcess[str]":
    """`resolve_model` in a process of its own: the hub's library reads its environment when it is imported."""
    code = (
        "import sys; from bagel.checkpoint import resolve_model\n"
        f"source = resolve_model({model!r}, load_format='auto', revision={revision!r})\n"
        "print(source.folder, source.name)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_hub_id_comes_from_the_cache_without_a_network(tmp_path: Path, revision: str | None) -> None:
    snapshot = fill_cache(tmp_path, "someone/tiny-bagel")
    done = resolve_offline(tmp_path, "someone/tiny-bagel", revision)
    assert done.stdout.split() == [str(snapshot), "someone/tiny-bagel"], done.stderr


def test_a_hub_id_that_is_not_in_the_cache_is_one_clear_error(tmp_path: Path) -> None:
    done = resolve_offline(tmp_path, "someone/else", None)
    assert done.returncode == 1
    assert "ConfigError: someone/else: cannot be fetched from the Hugging Face hub" in done.stderr


@pytest.mark.parametrize("model", ["no-such-model", "/no/such/folder", "a/b/c"])
def test_what_is_nothing_of_these_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        resolve_model(model, load_format="auto")


def test_an_unknown_load_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="--load-format"):
        resolve_model(defaults.MODEL, load_format="pickle")


def test_stages_with_other_weights_have_another_hash() -> None:
    golden, dummy = (resolve_model(str(GOLDEN), load_format=name) for name in ("safetensors", "dummy"))
    config = load_model_config(GOLDEN)
    assert model_hash(golden, config) == model_hash(golden, config)
    assert model_hash(golden, config) != model_hash(dummy, config)
