"""The pipelines as their users know them."""

import json
from pathlib import Path

import pytest

from bagel.errors import ConfigError
from services.launch.pipelines import (
    BAGEL,
    BAGEL_SINGLE_STAGE,
    BAGEL_THINK,
    PIPELINES,
    Execution,
    Sends,
    detect_pipeline,
)
from tests.processes import ROOT


def test_two_stages_of_which_the_first_writes_and_sends_and_the_second_draws() -> None:
    thinker, dit = BAGEL.stages
    assert (thinker.execution, thinker.owns_tokenizer, thinker.takes_pictures) == (Execution.AUTOREGRESSIVE, True, True)
    assert (thinker.ends_with, thinker.sends, thinker.inputs) == (("text",), Sends.PREFILL_FINISHED, ())
    assert (dit.execution, dit.inputs, dit.ends_with, dit.sends) == (Execution.DIFFUSION, (0,), ("image",), None)


def test_with_think_the_cache_is_sent_behind_the_thought() -> None:
    assert BAGEL_THINK.think
    assert BAGEL_THINK.stages[0].sends is Sends.THOUGHT_FINISHED
    assert BAGEL_THINK.stages[1] == BAGEL.stages[1]


def test_a_single_stage_does_everything_inside() -> None:
    (single,) = BAGEL_SINGLE_STAGE.stages
    assert (single.writes, single.draws, single.sends) == (True, True, None)
    assert set(PIPELINES) == {"bagel", "bagel_think", "bagel_single_stage"}


@pytest.mark.parametrize("folder", ["models/toy", "tests/golden/checkpoint", "bagel/presets/bagel-7b-mot"])
def test_a_checkpoint_says_its_pipeline(folder: str) -> None:
    assert detect_pipeline(ROOT / folder) is BAGEL


def test_another_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no llm_config\.json, so it is no BAGEL checkpoint"):
        detect_pipeline(tmp_path)
    for name in ("llm_config.json", "vit_config.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "config.json").write_text("{ not strict")
    assert detect_pipeline(tmp_path) is BAGEL
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ConfigError, match="model_type is 'llama'; there is a pipeline for 'bagel' alone"):
        detect_pipeline(tmp_path)
