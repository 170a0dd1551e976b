"""The older stage-config form, in words that users have in their files."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from bagel.errors import ConfigError
from services.launch.deploy.load import Deployment, DeploySources, load_deployment
from tests.services.launch.plans import TOY, children_of, flag

OLDER = """
stage_args:
  - stage_id: 0
    stage_type: llm
    runtime: {devices: "0", max_batch_size: 1}
    engine_args: {model_stage: thinker, model_arch: BagelForConditionalGeneration, gpu_memory_utilization: 0.4,
                  tensor_parallel_size: 1, max_num_batched_tokens: 32768, omni_kv_config: {need_send_cache: true}}
  - stage_id: 1
    stage_type: diffusion
    runtime: {devices: "1", max_batch_size: 2}
    engine_args: {model_stage: dit, gpu_memory_utilization: 0.4, omni_kv_config: {need_recv_cache: true}}
    engine_input_source: [0]
runtime: {window_size: -1, max_inflight: 1, shm_threshold_bytes: 1234}
"""
SINGLE = """
stage_args:
  - stage_id: 0
    stage_type: diffusion
    engine_args: {model_stage: dit}
    default_sampling_params: {seed: 52}
"""


def loaded(folder: Path, text: str, platform: str = "cuda") -> Deployment:
    path = folder / "stage_configs.yaml"
    path.write_text(textwrap.dedent(text))
    return load_deployment(DeploySources(stage_configs=str(path)), platform, TOY)


def test_an_older_file_starts_what_it_meant(tmp_path: Path) -> None:
    children = children_of(loaded(tmp_path, OLDER), platform="cuda")
    assert list(children) == ["thinker", "dit", "gateway"]
    thinker, dit, gateway = children.values()
    assert [child.env.get("CUDA_VISIBLE_DEVICES") for child in (thinker, dit)] == ["0", "1"]
    assert [flag(child, "--max-num-seqs") for child in (thinker, dit)] == ["1", "2"]
    assert flag(thinker, "--gpu-memory-utilization") == "0.4"
    assert flag(thinker, "--max-num-batched-tokens") == "32768"
    assert flag(gateway, "--max-running") == "1"


def test_what_is_printed_is_a_file_of_the_present_form_that_means_the_same(tmp_path: Path) -> None:
    older = loaded(tmp_path, OLDER)
    assert older.translated is not None
    printed: dict[str, Any] = yaml.safe_load(older.translated)
    shared = {"name": "SharedMemoryConnector", "extra": {"shm_threshold_bytes": 1234}}
    assert printed["connectors"] == {"shared_memory_connector": shared}
    path = tmp_path / "new.yaml"
    path.write_text(older.translated)
    again = load_deployment(DeploySources(deploy_config=str(path)), "cuda", TOY)
    assert (again.part, again.pipeline) == (older.part, older.pipeline)


def test_a_dit_alone_is_a_single_stage(tmp_path: Path) -> None:
    assert list(children_of(loaded(tmp_path, SINGLE))) == ["single", "gateway"]


@pytest.mark.parametrize("nothing", ["null", "{}"])
def test_connectors_of_which_none_is_named_are_as_if_left_out(tmp_path: Path, nothing: str) -> None:
    found = loaded(tmp_path, OLDER.replace("window_size", f"connectors: {nothing}, window_size"))
    assert found.part == loaded(tmp_path, OLDER).part


def test_a_threshold_reaches_connectors_that_are_there(tmp_path: Path) -> None:
    connectors = "connectors: {near: {name: SharedMemoryConnector}, far: {name: ZeroMQConnector}}"
    text = OLDER.replace("window_size", connectors + ", window_size")
    part = loaded(tmp_path, text).part
    assert part.connectors == {
        "near": {"name": "SharedMemoryConnector", "extra": {"shm_threshold_bytes": 1234}},
        "far": {"name": "ZeroMQConnector"},
    }
    assert [stage.output_connectors for stage in part.stages or []] == [None, None]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "max_batch_size: 1", "max_batchsize: 1",
            "5: unknown key stage_args[0].runtime.max_batchsize; the nearest valid key is max_batch_size",
        ),
        ("stage_args:", "stage_arg:", "2: stage_args is missing"),
        ("window_size: -1", "window_size: 4", "13: runtime.window_size: Input should be -1"),
        ("stage_type: llm", "stage_type: diffusion", "4: stage_type of the thinker must be llm, not diffusion"),
        ("[0]", "[1]", "12: engine_input_source of the dit must be [0]"),
        ("need_send_cache: true", "need_send_cache: false", "7: need_send_cache must be true"),
        ("need_recv_cache: true", "need_send_cache: true", "11: need_send_cache: nobody is there"),
        ("model_stage: dit", "model_stage: thinker", "2: stages are 0 thinker, 1 thinker; there must be"),
        ("BagelFor", "QwenFor", "6: stage_args[0].engine_args.model_arch: Input should be 'BagelFor"),
        ("utilization: 0.4,\n", "utilization: 4,\n", "6: stages[0].gpu_memory_utilization: Input should be less than"),
        ("window_size", "connectors: [a], window_size", "13: connectors: Input should be a valid dictionary"),
        ("tensor_parallel_size: 1", "tensor_parallel_size: 2", "7: tensor_parallel_size 2: tensor parallelism is not"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_the_line_of_the_older_file(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in OLDER
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, OLDER.replace(old, new))
    assert f"stage_configs.yaml:{says}" in str(refused.value)


def test_a_folder_with_one_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "bagel.yaml").write_text(SINGLE)
    found = load_deployment(DeploySources(stage_configs=str(tmp_path)), "cpu", TOY)
    assert found.pipeline.name == "bagel_single_stage"
    (tmp_path / "other.yaml").write_text(SINGLE)
    with pytest.raises(ConfigError, match="is a folder with 2 YAML files; name one of them"):
        load_deployment(DeploySources(stage_configs=str(tmp_path)), "cpu", TOY)


def test_both_forms_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="is the older form of --deploy-config; give one of them"):
        load_deployment(DeploySources(stage_configs="a", deploy_config="b"), "cpu", TOY)
