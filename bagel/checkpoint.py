"""Where a model comes from: a local folder, a Hugging Face id, or what the project bundles.

Bundled are a small model, `toy`, and the official configuration without weights. Knows nothing of tensors.
Downloads take safetensors and JSON only; `HF_HUB_OFFLINE` is honoured by the hub library.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from bagel.config import ModelConfig
from bagel.errors import ConfigError

OFFICIAL_ID = "ByteDance-Seed/BAGEL-7B-MoT"
TOY = "toy"
LOAD_FORMATS = ("auto", "safetensors", "dummy")
WEIGHT_FILES = ("ema.safetensors", "ae.safetensors")
_PACKAGE = Path(__file__).parent
_PRESETS = _PACKAGE / "presets"
_PRESET_OF = {"bagel-7b-mot": "bagel-7b-mot", OFFICIAL_ID: "bagel-7b-mot"}
# A wheel brings the toy model among its presets; in a checkout it lies beside the packages.
_TOY_FOLDERS = (_PRESETS / TOY, _PACKAGE.parent / "models" / TOY)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HEADER_HASH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model that is here: its folder, the name clients use, and whether its weights are drawn instead of read."""

    folder: Path
    name: str
    dummy: bool


def resolve_model(model: str, *, load_format: str, revision: str | None = None) -> ModelSource:
    """Find a model, downloading it if it is a Hugging Face id. Blocking. Raises ConfigError.

    `toy` is the bundled model wherever the process runs; a folder of that name is given as `./toy`.
    `revision` pins a commit, tag or branch of the hub; stages of one deployment should be given the same commit, and
    `bagel serve` resolves it once for all of them.
    """
    if load_format not in LOAD_FORMATS:
        raise ConfigError(f"--load-format {load_format}: take {', '.join(LOAD_FORMATS)}")
    folder = _toy_folder() if model == TOY else Path(model).expanduser()
    if folder.is_dir():
        return _local(folder.resolve(), load_format)
    if model in _PRESET_OF and (load_format == "dummy" or model != OFFICIAL_ID):
        if load_format == "safetensors":
            raise ConfigError(f"{model} is a bundled configuration without weights; leave --load-format out")
        preset = _PRESET_OF[model]
        return ModelSource(folder=_PRESETS / preset, name=preset, dummy=True)
    if not _HUB_ID.fullmatch(model):
        known = ", ".join((TOY, *(name for name in _PRESET_OF if name != OFFICIAL_ID)))
        raise ConfigError(f"{model}: no such folder; give a folder, a Hugging Face id (owner/name), or one of {known}")
    return ModelSource(folder=_download(model, revision), name=model, dummy=load_format == "dummy")


def model_hash(source: ModelSource, config: ModelConfig) -> str:
    """16 hex digits that stages of one deployment must agree on: configuration, and the files' headers and sizes."""
    h = hashlib.sha256(repr(config).encode())
    h.update(b"dummy" if source.dummy else b"files")
    for name in () if source.dummy else WEIGHT_FILES:
        path = source.folder / name
        h.update(f"{name}:{path.stat().st_size}:".encode())
        with path.open("rb") as file:
            h.update(file.read(_HEADER_HASH_BYTES))
    return h.hexdigest()[:16]


def _toy_folder() -> Path:
    for folder in _TOY_FOLDERS:
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"{TOY}: the bundled model is not here, neither {_TOY_FOLDERS[0]} nor {_TOY_FOLDERS[1]} exists; install the"
        " wheel of bagel-serve, take models/toy from its repository, or name another model"
    )


def _local(folder: Path, load_format: str) -> ModelSource:
    missing = [name for name in WEIGHT_FILES if not (folder / name).exists()]
    if missing and load_format != "dummy":
        raise ConfigError(
            f"{folder}: lacks {' and '.join(missing)}; give a folder in the official layout, or --load-format dummy"
            " to serve its configuration with random weights"
        )
    return ModelSource(folder=folder, name=folder.name, dummy=load_format == "dummy")


def _download(model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        path = snapshot_download(model, revision=revision, allow_patterns=["*.safetensors", "*.json"])
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ConfigError(
            f"{model}: cannot be fetched from the Hugging Face hub ({str(error).splitlines()[0]}); check the name, the"
            " network and HF_HUB_OFFLINE, or give a local folder"
        ) from error
    return Path(path)
