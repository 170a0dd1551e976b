"""The sizes that docs/deployment.md gives are those of the model's shapes."""

import re

import pytest
import torch
from torch import nn

from bagel.config import ModelConfig, load_model_config
from bagel.defaults import KV_PAGE_TOKENS, KV_POOL_TOKENS
from bagel.kv_layout import KvLayout
from bagel.model.memory import RESERVE_BYTES
from bagel.model.stages import DitModel, ThinkerModel, ThinkerParts, WholeModel
from bagel.tasks import TaskKind, read_tasks
from tests.docs.pages import page
from tests.processes import ROOT

PAGE = page("docs/deployment.md")
GIB = 1 << 30


@pytest.fixture(scope="module")
def official() -> ModelConfig:
    return load_model_config(ROOT / "bagel/presets/bagel-7b-mot")


def weights_gib(model: nn.Module) -> float:
    """In bfloat16, but for what stays float32."""
    wide = {id(weight) for part in model.float32_parts for weight in part.parameters()}  # type: ignore[union-attr]
    return sum(weight.numel() * (4 if id(weight) in wide else 2) for weight in model.parameters()) / GIB


def test_weights_are_those_of_the_shapes(official: ModelConfig) -> None:
    told = {row[0].split(" (")[0]: float(row[1]) for row in PAGE.tables("Weights")}
    with torch.device("meta"):
        found = {
            "Thinker, all tasks": ThinkerModel(official),
            "Thinker without edits": ThinkerModel(official, ThinkerParts.of(read_tasks("text2text,img2text,text2img"))),
            "Thinker for texts alone": ThinkerModel(official, ThinkerParts.of((TaskKind.TEXT2TEXT,))),
            "DiT": DitModel(official, (0, 1)),
            "both in one process": WholeModel(official, (0, 1)),
        }
    assert told == {name: round(weights_gib(model), 1) for name, model in found.items()}


def test_kv_memory_is_that_of_the_layout(official: ModelConfig) -> None:
    a_token = KvLayout.of(official.llm, page_tokens=KV_PAGE_TOKENS, dtype="bfloat16").token_bytes
    assert a_token == 56 << 10
    assert a_token * KV_POOL_TOKENS == 1.75 * GIB
    for said in ("2 x 28 x (4 x 128) x 2 bytes = 56 KiB a token", "takes 1.75 GiB", f"{KV_POOL_TOKENS:,} tokens"):
        assert said in PAGE.text
    assert f"a reserve of {RESERVE_BYTES // GIB} GiB" in " ".join(PAGE.text.split())
    # 519.3 MB were measured.
    tokens = int(re.search(r"519 MB in all, ([\d,]+) tokens", PAGE.text)[1].replace(",", ""))  # type: ignore[index]
    assert round(tokens * a_token / 1e6, 1) == 519.3
    assert KV_POOL_TOKENS // tokens == 3
