"""docs/migrating-from-vllm-omni.md says what is true of every flag and field: held against parsers and schemas."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from bagel.errors import ConfigError
from services.cli.main import app
from services.gateway.schemas import ChatRequest
from services.launch.deploy import older
from services.launch.deploy.schema import DeployFile, ParallelConfig, SamplingDefaults, StageFields
from tests.docs.pages import page
from tests.processes import ROOT
from tests.services.launch.plans import deployed
from transport import connectors

PAGE = page("docs/migrating-from-vllm-omni.md")
# Of the documentation that users come from.
SERVE = (
    "--omni", "--port", "--deploy-config", "--stage-configs-path", "--tensor-parallel-size",
    "--vae-patch-parallel-size", "--vae-use-tiling", "--stage-id", "--headless", "--omni-master-address",
    "--omni-master-port", "-oma", "-omp", "--worker-backend", "--ray-address",
)  # fmt: skip
END_TO_END = (
    "--model", "--modality", "--prompts", "--txt-prompts", "--image-path", "--steps", "--stage-configs-path",
    "--deploy-config", "--think", "--worker-backend", "--ray-address", "--enable-stats", "--init-sleep-seconds",
    "--batch-timeout", "--init-timeout",
)  # fmt: skip
CLIENT = (
    "--prompt", "-p", "--output", "-o", "--server", "-s", "--image-url", "-i", "--modality", "-m", "--height",
    "--width", "--steps", "--seed", "--negative",
)  # fmt: skip
REQUEST = {
    "messages", "modalities", "height", "width", "num_inference_steps", "seed", "negative_prompt", "guidance_scale",
    "n", "extra_body",
}  # fmt: skip
DEPLOY = {
    "base_config", "pipeline", "async_chunk", "stages", "stage_id", "devices", "max_num_seqs",
    "max_num_batched_tokens", "gpu_memory_utilization", "enforce_eager", "enable_prefix_caching",
    "trust_remote_code", "tensor_parallel_size", "default_sampling_params", "temperature", "top_p", "top_k",
    "max_tokens", "seed", "detokenize", "repetition_penalty", "output_connectors", "input_connectors",
    "vae_use_tiling", "parallel_config", "vae_patch_parallel_size", "use_hsdp", "hsdp_shard_size",
    "hsdp_replicate_size", "connectors", "platforms",
}  # fmt: skip
# What makes a row's refusal happen: its key, and a file.
REFUSED = {
    "async_chunk": "async_chunk: true",
    "enable_prefix_caching": "stages: [{stage_id: 0, enable_prefix_caching: true}]",
    "tensor_parallel_size": "stages: [{stage_id: 0, tensor_parallel_size: 2}]",
    "vae_use_tiling": "stages: [{stage_id: 1, vae_use_tiling: true}]",
    "vae_patch_parallel_size":
        "stages: [{stage_id: 1, tensor_parallel_size: 2, parallel_config: {vae_patch_parallel_size: 2}}]",
    "use_hsdp": "stages: [{stage_id: 1, parallel_config: {use_hsdp: true}}]",
    "detokenize": "stages: [{stage_id: 0, default_sampling_params: {detokenize: false}}]",
}  # fmt: skip


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows(heading: str) -> dict[str, tuple[list[str], str]]:
    """By what is there: what is here, and what is said of it."""
    found = {}
    for there, here, said in PAGE.tables(heading):
        for name in named(there) or [there]:
            found[name] = (named(here), said)
    return found


def listed(begin: str) -> set[str]:
    """The names of a sentence that begins or goes on so."""
    text = " ".join(PAGE.text.split())
    return set(named(text.split(begin, 1)[1].split(". ", 1)[0]))


def options_of(command: str) -> set[str]:
    """Every way to write an option of one of our commands."""
    group: Any = typer.main.get_command(app)
    return {
        name
        for option in group.commands[command].params
        if option.param_type_name == "option"
        for name in (*option.opts, *option.secondary_opts)
    }


def fields_of(*models: type[BaseModel]) -> set[str]:
    return {name for model in models for name in model.model_fields}


def test_flags_of_serve_are_taken_and_all_of_ours_are_told() -> None:
    told, ours = rows("Flags of `serve`"), options_of("serve")
    assert set(SERVE) <= told.keys()
    here = {name for names, _ in told.values() for name in names}
    assert here <= ours
    also = {name for _, said in told.values() for name in re.findall(r"`(-[\w-]+)`", said)}
    assert also <= ours
    alone = listed("Flags without a counterpart:")
    switched_off = {name for name in ours if name.startswith("--no-")}
    assert here | also | alone == ours - switched_off
    assert not here & alone


def test_flags_of_the_store_s_master_are_taken() -> None:
    told = rows("Flags of `mooncake_master`")
    assert {name for names, _ in told.values() for name in names} <= options_of("mooncake-master")
    ports = [
        word for _, here, _ in PAGE.tables("Ports") for name in named(here) for word in name.split() if word[0] == "-"
    ]
    assert set(ports) <= options_of("serve") | options_of("mooncake-master")


@pytest.mark.parametrize(
    ("script", "flags"), [("examples/openai_chat_client.py", CLIENT), ("examples/end2end.py", END_TO_END)]
)
def test_flags_of_the_examples_are_taken(script: str, flags: tuple[str, ...]) -> None:
    told = rows("Examples")
    assert set(flags) <= told.keys()
    assert all(there in here and said == "same" for there, (here, said) in told.items() if there in flags)
    done = subprocess.run(
        [sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert set(flags) <= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", done.stdout))


def test_deploy_keys_are_all_told() -> None:
    told = rows("Deploy files")
    assert told.keys() >= DEPLOY
    ours = fields_of(DeployFile, StageFields, ParallelConfig, SamplingDefaults)
    here = {name for names, _ in told.values() for name in names[:1]}
    alone = listed("Keys that are only here:")
    assert here | alone == ours
    assert not here & alone


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_refused_is_refused_with_the_message_shown(key: str, tmp_path: Path) -> None:
    _, said = rows("Deploy files")[key]
    with pytest.raises(ConfigError) as refused:
        deployed(tmp_path, REFUSED[key], platform="cuda")
    assert named(said)[-1] in str(refused.value)


def test_every_refusal_that_is_told_is_tried() -> None:
    told = {
        key for key, (_, said) in rows("Deploy files").items() if re.search(r"(?:true|false|more): `(?!use_hsdp)", said)
    }
    assert told == REFUSED.keys()


def test_connectors_and_their_keys_are_those_of_the_transport() -> None:
    kinds = connectors._KINDS
    here = {name for names, _ in rows("Connectors").values() for name in names}
    assert here == kinds.keys()
    same, warned = listed("Of `extra`: "), listed("are the same. ")
    extras = {name for kind in kinds.values() for name in kind.model_fields}
    assert same <= extras
    assert extras - same <= {"socket", "verify", "bind", "advertise_host", "connections"}
    assert warned - {"connector_key_ignored"} == connectors._MEANINGLESS.keys()


def test_the_older_form_is_told_key_by_key() -> None:
    told = rows("The older form")
    paths = {"stage_args"}
    for model, prefix, inner in (
        (older._StageArgs, "stage_args[].", {"runtime": older._StageRuntime, "engine_args": older._EngineArgs}),
        (older._Runtime, "runtime.", {}),
    ):
        for name in model.model_fields:
            deeper: dict[str, type[BaseModel]] = inner
            if name in deeper:
                paths |= {f"{prefix}{name}.{each}" for each in deeper[name].model_fields}
            else:
                paths.add(prefix + name)
    assert told.keys() == paths
    for path, new in older._FIELDS.items():
        assert told["stage_args[]." + ".".join(path)][0] == [new]


def test_request_fields_are_all_told() -> None:
    told = rows("Requests")
    assert told.keys() >= REQUEST
    here = {name for names, _ in told.values() for name in names} - {"image_url"}
    alone, openai = listed("Fields that are only here:"), listed("change nothing here:")
    assert here | alone | openai == ChatRequest.model_fields.keys()
    assert len(here) + len(alone) + len(openai) == len(here | alone | openai)
