"""Every field of a deploy file and what it changes: a field without a row here fails the first test."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bagel.errors import ConfigError
from services.gateway.sampling_defaults import parse_sampling_defaults
from services.launch.deploy.links import links_of, links_yaml
from services.launch.deploy.load import Deployment
from services.launch.deploy.schema import INERT, DeployFile, ParallelConfig, SamplingDefaults, StageFields
from services.launch.plan import ChildSpec
from tests.processes import ROOT
from tests.services.launch.plans import children_of, deployed, flag
from transport.configs import ShmConfig

Children = dict[str, ChildSpec]
SHM = {"near": {"name": "SharedMemoryConnector", "extra": {"socket": "/s"}}}


def of_stage(name: str, flag_name: str, value: Any, says: str) -> tuple[dict[str, Any], Callable[[Children], bool]]:
    """A field of the Thinker that is a flag of its process."""
    document = {"stages": [{"stage_id": 0, name: value}]}
    return document, lambda children: flag(children["thinker"], flag_name) == says


def visible(children: Children) -> list[str | None]:
    return [child.env.get("CUDA_VISIBLE_DEVICES") for name, child in children.items() if name != "gateway"]


# What is accepted and changes which processes are started with what: field, a file with it, what must be so then.
CHANGES: dict[str, tuple[dict[str, Any], Callable[[Children], bool]]] = {
    "pipeline": ({"pipeline": "bagel_think"}, lambda c: "--think" in c["gateway"].command),
    "base_config": ({"base_config": "bagel_single_stage.yaml"}, lambda c: "single" in c),
    "platforms": ({"platforms": {"cuda": {"max_inflight": 3}}}, lambda c: flag(c["gateway"], "--max-running") == "3"),
    "max_inflight": ({"max_inflight": 2}, lambda c: flag(c["gateway"], "--max-running") == "2"),
    "stages": ({"stages": [{"stage_id": 1, "num_replicas": 3}]}, lambda c: "dit-2" in c),
    "stages.stage_id": (
        {"stages": [{"stage_id": 1, "num_replicas": 2}]}, lambda c: "dit-1" in c and "thinker-1" not in c
    ),
    "stages.devices": (
        {"stages": [{"stage_id": 0, "devices": 3}, {"stage_id": 1, "devices": "0,1", "num_replicas": 2}]},
        lambda c: visible(c) == ["3", "0", "1"],
    ),
    "stages.num_replicas": ({"stages": [{"stage_id": 0, "num_replicas": 2}]}, lambda c: "thinker-1" in c),
    "stages.tasks": of_stage("tasks", "--tasks", ["text2text", "img2text"], "text2text,img2text"),
    "stages.max_num_seqs": of_stage("max_num_seqs", "--max-num-seqs", 3, "3"),
    "stages.max_num_batched_tokens": of_stage("max_num_batched_tokens", "--max-num-batched-tokens", 512, "512"),
    "stages.max_model_len": of_stage("max_model_len", "--max-model-len", 2048, "2048"),
    "stages.gpu_memory_utilization": of_stage("gpu_memory_utilization", "--gpu-memory-utilization", 0.45, "0.45"),
    "stages.max_inflight": (
        {"stages": [{"stage_id": 0, "max_inflight": 4}, {"stage_id": 1, "max_inflight": 2}]},
        lambda c: [flag(c["gateway"], f"--max-running{of}") for of in ("", "-pictures")] == ["4", "2"],
    ),
    "stages.env": (
        {"stages": [{"stage_id": 1, "env": {"OMP_NUM_THREADS": 1}}]},
        lambda c: [child.env.get("OMP_NUM_THREADS") for child in c.values()] == [None, "1", None],
    ),
}  # fmt: skip
# Of `default_sampling_params`: the stage, a value, and what a request then takes by itself.
SAMPLING: dict[str, tuple[int, Any, str, str]] = {
    "temperature": (0, 0.4, "text", "temperature"), "top_p": (0, 0.9, "text", "top_p"),
    "top_k": (0, 1, "text", "top_k"), "max_tokens": (0, 2048, "text", "max_tokens"),
    "max_think_tokens": (0, 64, "text", "max_think_tokens"),
    "repetition_penalty": (0, 1.05, "text", "repetition_penalty"), "seed": (1, 52, "image", "seed"),
    "num_inference_steps": (1, 20, "image", "num_inference_steps"),
    "timestep_shift": (1, 2.0, "image", "timestep_shift"),
    "guidance_scale": (1, 5.0, "image", "cfg_text_scale"), "cfg_text_scale": (1, 5.0, "image", "cfg_text_scale"),
    "cfg_img_scale": (1, 2.0, "image", "cfg_img_scale"), "cfg_interval": (1, [0.2, 0.8], "image", "cfg_interval"),
    "cfg_renorm_type": (1, "channel", "image", "cfg_renorm_type"),
    "cfg_renorm_min": (1, 0.5, "image", "cfg_renorm_min"),
    "negative_prompt": (1, "blurry", "image", "negative_prompt"),
}  # fmt: skip
# Tested by what stages read, or refused whatever the rest is.
LINKS = {"connectors", "stages.input_connectors", "stages.output_connectors"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "async_chunk": ({"async_chunk": True}, ":1: async_chunk: stages send pages as they become full"),
    "stages.enable_prefix_caching": ({"enable_prefix_caching": True}, "there is no prefix cache yet"),
    "stages.tensor_parallel_size": ({"tensor_parallel_size": 2}, "tensor parallelism is not built yet"),
    "stages.vae_use_tiling": ({"vae_use_tiling": True}, "tiled VAE decoding is not built yet"),
    "stages.parallel_config": ({"parallel_config": {"use_hsdp": True}}, "hybrid sharding is not built yet"),
    "tensor_parallel_size": ({"parallel_config": {"tensor_parallel_size": 2}}, "tensor parallelism is not built yet"),
    "vae_patch_parallel_size": (
        {"tensor_parallel_size": 2, "parallel_config": {"vae_patch_parallel_size": 2}},
        "VAE patch parallelism is not built yet",
    ),
    "use_hsdp": ({"parallel_config": {"use_hsdp": True}}, "hybrid sharding is not built yet"),
    "hsdp_shard_size": ({"parallel_config": {"hsdp_shard_size": 2}}, "hybrid sharding is not built yet"),
    "hsdp_replicate_size": ({"parallel_config": {"hsdp_replicate_size": 2}}, "hybrid sharding is not built yet"),
    "detokenize": ({"default_sampling_params": {"detokenize": False}}, "never bare token ids"),
}
NOTHING_YET: dict[str, Any] = {
    "async_chunk": False, "enable_prefix_caching": False, "enforce_eager": True, "trust_remote_code": True,
    "tensor_parallel_size": 1, "vae_use_tiling": False,
    "parallel_config": {"tensor_parallel_size": 1, "vae_patch_parallel_size": 1, "use_hsdp": False,
                        "hsdp_shard_size": 1, "hsdp_replicate_size": 1},
    "default_sampling_params": {"detokenize": True},
}  # fmt: skip


def test_every_field_has_a_row() -> None:
    top = set(DeployFile.model_fields)
    stage = {f"stages.{name}" for name in StageFields.model_fields}
    inert = {"stages.enforce_eager", "stages.trust_remote_code", "stages.default_sampling_params"}
    assert top | stage == CHANGES.keys() | LINKS | inert | {name for name in REFUSED if name in top | stage}
    assert set(ParallelConfig.model_fields) <= REFUSED.keys()
    assert set(SamplingDefaults.model_fields) == SAMPLING.keys() | {"detokenize"}


@pytest.mark.parametrize("name", CHANGES)
def test_an_accepted_field_changes_what_is_started(tmp_path: Path, name: str) -> None:
    document, holds = CHANGES[name]
    assert not holds(children_of(deployed(tmp_path, {}, "cuda"), platform="cuda"))
    assert holds(children_of(deployed(tmp_path, document, "cuda"), platform="cuda"))


@pytest.mark.parametrize("name", SAMPLING)
def test_a_sampling_default_is_what_silent_requests_take(tmp_path: Path, name: str) -> None:
    stage_id, value, kind, field = SAMPLING[name]
    told = flag(children_of(with_sampling(tmp_path, stage_id, {name: value}))["gateway"], "--default-sampling")
    assert told is not None
    assert json.loads(told) == {kind: {field: value}}
    found = parse_sampling_defaults(told)
    assert {"text": found.text, "image": found.image}[kind] == {field: value}


def test_a_single_stage_s_seed_is_for_texts_and_pictures(tmp_path: Path) -> None:
    document = {"pipeline": "bagel_single_stage", "stages": [{"stage_id": 0, "default_sampling_params": {"seed": 7}}]}
    told = flag(children_of(deployed(tmp_path, document))["gateway"], "--default-sampling")
    assert told is not None
    assert json.loads(told) == {"text": {"seed": 7}, "image": {"seed": 7}}


def test_connectors_reach_the_stages(tmp_path: Path) -> None:
    document = {
        "connectors": SHM,
        "stages": [
            {"stage_id": 0, "output_connectors": {"to_stage_1": "near"}, "max_num_seqs": 2},
            {"stage_id": 1, "input_connectors": {"from_stage_0": "near"}},
        ],
    }
    deployment = deployed(tmp_path, document)
    for stage_id in (0, 1):
        links = links_of(deployment.part, stage_id)
        assert links is not None
        assert links.planes == (ShmConfig(socket="/s"),)
    assert links_yaml(deployment.part) is not None
    assert links_yaml(deployed(tmp_path, {"connectors": SHM}).part) is None
    children = children_of(deployment, stage_file=tmp_path / "merged.yaml")
    assert {flag(children[name], "--deploy-config") for name in ("thinker", "dit")} == {str(tmp_path / "merged.yaml")}


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_whose_engine_does_not_exist_yet_is_refused_with_that_reason(tmp_path: Path, name: str) -> None:
    fields, reason = REFUSED[name]
    document = fields if name == "async_chunk" else {"stages": [{"stage_id": 0, **fields}]}
    with pytest.raises(ConfigError) as refused:
        deployed(tmp_path, document)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path}/deploy.yaml:")


@pytest.mark.parametrize("name", NOTHING_YET)
def test_what_is_so_anyway_may_be_said_and_changes_nothing(tmp_path: Path, name: str) -> None:
    fields = {name: NOTHING_YET[name]}
    document = fields if name == "async_chunk" else {"stages": [{"stage_id": 0, **fields}]}
    assert commands(deployed(tmp_path, document)) == commands(deployed(tmp_path, {}))


def test_the_documentation_has_a_line_for_every_field() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    for model in (DeployFile, StageFields, ParallelConfig, SamplingDefaults):
        for name in model.model_fields:
            assert re.search(rf"`{name}`", page), name
    assert set(INERT) <= set(NOTHING_YET)


def with_sampling(folder: Path, stage_id: int, params: dict[str, Any]) -> Deployment:
    return deployed(folder, {"stages": [{"stage_id": stage_id, "default_sampling_params": params}]})


def commands(deployment: Deployment) -> list[tuple[str, ...]]:
    return [child.command for child in children_of(deployment).values()]
