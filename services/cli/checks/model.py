"""A model's files: which are there, whether they are whole, and what they should hash to. Downloads nothing."""

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from bagel.checkpoint import OFFICIAL_ID, WEIGHT_FILES, ModelSource, resolve_model
from bagel.config import load_model_config
from bagel.errors import ConfigError
from services.cli.checks.findings import Finding, fail, ok, size, warn

SUMS = "SHA256SUMS"
TOKENIZER = "tokenizer.json"
QUICK_BYTES = 1 << 30  # hashing more takes long enough to ask for it
MAX_HEADER_BYTES = 100 << 20  # the safetensors library's own limit
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def find_model(model: str) -> ModelSource | Finding:
    """A model that is here, or why there is none."""
    folder = Path(model).expanduser()
    if _HUB_ID.fullmatch(model) and not folder.is_dir():
        return _cached(model)
    try:
        return resolve_model(model, load_format="auto")
    except ConfigError as error:
        return fail("model", str(error), "give --model a folder in the official layout, or an id of the hub")


def check_model(source: ModelSource, *, hashes: bool) -> Iterator[Finding]:
    """Configuration, tokenizer and weights of a model."""
    cure = "take the file from the model's source again"
    try:
        config = load_model_config(source.folder)
    except ConfigError as error:
        yield fail("model", str(error), cure)
        return
    llm = config.llm
    sizes = f"{llm.num_layers} layers of {llm.hidden_size}, pictures up to {config.max_image_side} px"
    yield ok("model", f"{source.name} in {source.folder}: {sizes}")
    if not (source.folder / TOKENIZER).is_file():
        yield fail("tokenizer", f"{source.folder / TOKENIZER} is missing", cure)
    if source.dummy:
        yield warn("weights", "none: they would be drawn at random", f"for pictures serve {OFFICIAL_ID}, or toy")
        return
    problems = [problem for name in WEIGHT_FILES if (problem := _cut_off(source.folder / name))]
    if problems:
        yield fail("weights", "; ".join(problems), cure)
        return
    yield ok("weights", f"{size(weights_bytes(source))}, whole")
    yield from _hashes(source, hashes=hashes)


def weights_bytes(source: ModelSource) -> int:
    """Of the files; 0 for a model without."""
    return 0 if source.dummy else sum((source.folder / name).stat().st_size for name in WEIGHT_FILES)


def _cached(model: str) -> ModelSource | Finding:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(model, local_files_only=True)
        found = resolve_model(folder, load_format="auto")
    except (LocalEntryNotFoundError, ValueError):
        cure = f"`bagel serve {model}` fetches it from the Hugging Face hub, or give --model a folder"
        return warn("model", f"{model} is not on this machine", cure)
    except ConfigError as error:
        return warn("model", str(error), f"`bagel serve {model}` fetches what is missing")
    return ModelSource(folder=found.folder, name=model, dummy=False)


def _cut_off(path: Path) -> str | None:
    """What is wrong with the size of a safetensors file."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES:
                return f"{path}: is no safetensors file"
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, struct.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return f"{path}: is no safetensors file ({error})"
    wanted, found = 8 + length + max(ends, default=0), path.stat().st_size
    return None if wanted == found else f"{path}: has {found} bytes, should have {wanted}"


def _hashes(source: ModelSource, *, hashes: bool) -> Iterator[Finding]:
    known = _known_hashes(source.folder)
    if not known:
        yield ok("hashes", "nothing here tells what they should be")
    elif not hashes and weights_bytes(source) > QUICK_BYTES:
        yield ok("hashes", "not compared: bagel doctor --hashes does")
    else:
        wrong = [name for name, wanted in known.items() if _hash(source.folder / name) != wanted]
        if wrong:
            cure = "take them from the model's source again, unless you changed them yourself"
            yield fail("hashes", f"differ: {', '.join(wrong)}", cure)
        else:
            yield ok("hashes", f"of {len(known)} files are right")


def _known_hashes(folder: Path) -> dict[str, str]:
    """By file: from a list beside the files, or from the hub's cache, which names its files so."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        targets = {name: (folder / name).resolve().name for name in WEIGHT_FILES}
        return {name: target for name, target in targets.items() if _DIGEST.fullmatch(target)}
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
