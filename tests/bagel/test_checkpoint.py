"""Finding a model: folders, bundled configurations, and the hub's cache without a network."""

import os
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


def test_the_default_model_needs_no_weights_and_has_the_official_geometry() -> None:
    source = resolve_model(defaults.MODEL, load_format="auto")
    config = load_model_config(source.folder)
    assert source.dummy
    assert (config.max_latent_size, config.vit_grid_side, config.token_pixels) == (64, 70, 16)


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
