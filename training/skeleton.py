"""A checkpoint folder without weights: what workers and stages read while the weights are in training."""

import shutil
from pathlib import Path

from bagel.config import load_model_config
from training.tokenizer import TOKENIZER_FILE, train_tokenizer

_CONFIGURATION = ("config.json", "llm_config.json", "vit_config.json", "tokenizer_config.json")


def make_skeleton(origin: Path, folder: Path, *, learn: bool) -> None:
    """Fill `folder`, if nobody has yet, with the configuration of `origin` and a tokenizer: its own, or one that is
    learnt from the grammar as it is now (seconds of CPU time).
    """
    if (folder / TOKENIZER_FILE).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in _CONFIGURATION:
        shutil.copyfile(origin / name, folder / name)
    if learn:
        train_tokenizer(folder, load_model_config(folder).llm.vocab_size)
    else:
        shutil.copyfile(origin / TOKENIZER_FILE, folder / TOKENIZER_FILE)
