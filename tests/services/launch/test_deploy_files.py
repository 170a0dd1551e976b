"""Reading deploy files: what builds on what, and one message with line and nearest key for each mistake."""

import textwrap
import tomllib
from pathlib import Path

import pytest

from bagel.errors import ConfigError
from services.launch.deploy.checks import Served
from services.launch.deploy.files import bundled, find_deploy_file
from services.launch.deploy.load import DeploySources, StageFlags, load_deployment
from services.launch.deploy.schema import StageFields
from tests.processes import ROOT
from tests.services.launch.plans import TOY, deployed

NAMES = {"bagel.yaml", "bagel_think.yaml", "bagel_single_stage.yaml", "bagel_single_gpu.yaml", "bagel_dual_gpu.yaml",
         "bagel_multiconnector.yaml"}  # fmt: skip


def stage(folder: Path, text: str, stage_id: int, platform: str = "cpu", **sources: str) -> StageFields:
    deployment = deployed(folder, textwrap.dedent(text), platform, **sources)
    found = deployment.pipeline.stage(stage_id)
    assert found is not None
    return deployment.fields_of(found)


def refusal(folder: Path, text: str, served: Served = TOY, **sources: object) -> str:
    """The message, with the file's name as a user would have it."""
    path = folder / "deploy.yaml"
    path.write_text(textwrap.dedent(text))
    with pytest.raises(ConfigError) as refused:
        load_deployment(DeploySources(deploy_config=str(path), **sources), "cpu", served)  # type: ignore[arg-type]
    return str(refused.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_bundled_file_is_right(name: str, platform: str) -> None:
    deployment = load_deployment(DeploySources(deploy_config=name), platform, TOY)
    devices = [deployment.fields_of(each).devices for each in deployment.pipeline.stages]
    assert any(devices) == (name in ("bagel_single_gpu.yaml", "bagel_dual_gpu.yaml") and platform == "cuda")


def test_bundled_files_are_found_by_name_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(bundled()) == NAMES
    assert find_deploy_file("bagel_think.yaml") == find_deploy_file("deploy/bagel_think.yaml")
    (tmp_path / "bagel_think.yaml").touch()
    assert find_deploy_file("bagel_think.yaml") == Path("bagel_think.yaml")
    with pytest.raises(ConfigError, match=r"no such file; the bundled one is deploy/bagel_single_stage\.yaml"):
        find_deploy_file("vllm_omni/deploy/bagel_single_stage.yaml")
    with pytest.raises(ConfigError, match=r"no such file; bundled are bagel\.yaml, "):
        find_deploy_file("other.yaml")


def test_a_wheel_brings_every_bundled_file() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {f"deploy/{name}" for name in NAMES} <= set(wheel["only-include"])
    assert wheel["sources"]["deploy"] == "bagel/presets/deploy"


def test_a_file_says_what_differs_from_what_it_builds_on(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "base_config: bagel_multiconnector.yaml\nstages: [{stage_id: 1, max_num_seqs: 2, env: {A: x, B: y}}]"
    )
    text = "base_config: base.yaml\nstages: [{stage_id: 1, max_num_batched_tokens: 9, env: {B: z}}]"
    dit, thinker = stage(tmp_path, text, 1), stage(tmp_path, text, 0)
    assert (dit.max_num_seqs, dit.max_num_batched_tokens, dit.env) == (2, 9, {"A": "x", "B": "z"})
    assert dit.input_connectors == {"from_stage_0": ["near", "far"]}
    assert thinker.output_connectors == {"to_stage_1": ["near", "far"]}


def test_a_part_for_a_platform_holds_there_alone_and_null_takes_back(tmp_path: Path) -> None:
    text = """
        stages: [{stage_id: 0, devices: "0", max_num_seqs: 4}]
        platforms:
          cpu: {stages: [{stage_id: 0, devices: null, max_num_seqs: 1}]}
    """
    on_gpu, on_cpu = stage(tmp_path, text, 0, "cuda"), stage(tmp_path, text, 0, "cpu")
    assert (on_gpu.devices, on_gpu.max_num_seqs) == ("0", 4)
    assert (on_cpu.devices, on_cpu.max_num_seqs) == (None, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("conectors: {}", "deploy.yaml:1: unknown key conectors; the nearest valid key is connectors"),
        (
            "stages:\n  - stage_id: 0\n    max_num_seq: 3",
            "deploy.yaml:3: unknown key stages[0].max_num_seq; the nearest valid key is max_num_seqs",
        ),
        (
            "stages:\n- stage_id: 0\n  default_sampling_params:\n    sed: 1",
            "deploy.yaml:4: unknown key stages[0].default_sampling_params.sed; the nearest valid key is seed",
        ),
        (
            "platforms:\n  cuda:\n    stages:\n    - {stage_id: 0, device: 1}",
            "deploy.yaml:4: unknown key platforms.cuda.stages[0].device; the nearest valid key is devices",
        ),
        ("platforms:\n  gpu: {}", "deploy.yaml:2: unknown key platforms.gpu: Input should be 'cpu', 'cuda'"),
        ("stages:\n- max_num_seqs: 1", "deploy.yaml:2: stages[0].stage_id is missing"),
        ("stages:\n- stage_id: 0\n  max_num_seqs: 0", "deploy.yaml:3: stages[0].max_num_seqs: Input should be greater"),
        ("stages:\n- stage_id: 0\n  tasks: [text2video]", "deploy.yaml:3: stages[0].tasks[0]: Input should be"),
        ("stages:\n- stage_id: 0\n- stage_id: 0", "deploy.yaml:3: stage 0 stands there twice"),
        ("stages:\n- stage_id: 3", "deploy.yaml:2: stage_id is 3; the pipeline bagel has 0 (thinker) and 1 (dit)"),
        ("pipeline: bagle", "deploy.yaml:1: pipeline: Input should be 'bagel', 'bagel_think'"),
        ("max_inflight: 1\nmax_inflight: 2", "deploy.yaml:2: max_inflight stands there twice"),
        ("base_config: deploy.yaml", "deploy.yaml: base_config leads back to itself"),
        ("\nbase_config: none.yaml", "deploy.yaml:2: base_config none.yaml: no such file beside this one; bundled are"),
        ("a: &a [*a]", "deploy.yaml:1: an alias must not stand inside of what it names"),
        ("a: [", "deploy.yaml:1: is no YAML ("),
        ("- a", "deploy.yaml:1: must be a mapping with pipeline, "),
        (
            "stages:\n- stage_id: 0\n  env: {BUILD: 2024-02-30}",
            "deploy.yaml:3: '2024-02-30' is read as timestamp and is none; quote it if it is a text",
        ),
        ("a: 0x_", "deploy.yaml:1: '0x_' is read as int and is none"),
        ('a: !!int "abc"', "deploy.yaml:1: 'abc' is read as int and is none"),
        ("a: !!bool x", "deploy.yaml:1: 'x' is read as bool and is none"),
        ("a: !!timestamp x", "deploy.yaml:1: 'x' is read as timestamp and is none"),
        ("a: " + "9" * 5000, "deploy.yaml:1: '9999"),
        ("a: " + "[" * 2000, "deploy.yaml: is nested too deeply"),
        ("connectors:\n  a: " + "[" * 100 + "]" * 100, "deploy.yaml:2: is nested too deeply"),
        ('stages: [{stage_id: 0, env: {"A=": b}}]', "deploy.yaml:1: stages[0].env.A="),
        ('stages: [{stage_id: 0, env: {A: "\\0"}}]', "deploy.yaml:1: stages[0].env.A: String should match"),
        ("stages: [{stage_id: 0, num_replicas: 1025}]", "deploy.yaml:1: stages[0].num_replicas: Input should be less"),
        (
            "stages:\n- stage_id: 1\n  tasks: [text2text]",
            "deploy.yaml:3: tasks: none ends in a picture, which dit is for; add text2img or img2img",
        ),
        (
            "stages:\n- stage_id: 1\n  max_model_len: 4097",
            "deploy.yaml:3: max_model_len 4097 is more than the 4096 positions of toy; lower it",
        ),
        (
            "connectors:\n  far:\n    name: ZeroMQConnector\n    extra:\n      bnd: x",
            "deploy.yaml:5: connectors.far.extra has an unknown key 'bnd'; did you mean bind?",
        ),
        ("connectors:\n  far:\n    name: Zero", "deploy.yaml:3: connectors.far.name is 'Zero'; known are Shared"),
        (
            "stages:\n- stage_id: 1\n  input_connectors:\n    from_stage_0: rdma_connector",
            "deploy.yaml:4: input_connectors.from_stage_0 names 'rdma_connector', which is not defined under",
        ),
        (
            "pipeline: bagel_single_stage\nconnectors: {a: {name: ZeroMQConnector}}\n"
            "stages: [{stage_id: 0, output_connectors: {x: a}}]",
            "deploy.yaml:3: output_connectors: the pipeline bagel_single_stage has one stage, nothing travels",
        ),
        (
            "stages:\n- stage_id: 1\n  default_sampling_params: {top_k: 3}",
            "deploy.yaml:3: top_k is of texts, which dit does not make",
        ),
        (
            "stages:\n- stage_id: 1\n  default_sampling_params: {guidance_scale: 3, cfg_text_scale: 3}",
            "deploy.yaml:3: guidance_scale is another name of cfg_text_scale; give one",
        ),
        (
            "stages:\n- stage_id: 0\n  tensor_parallel_size: 1\n  parallel_config:\n    tensor_parallel_size: 2",
            "deploy.yaml:5: tensor_parallel_size is 2 here and 1 beside it; give one",
        ),
        (
            "stages:\n- stage_id: 1\n  parallel_config: {vae_patch_parallel_size: 2}",
            "vae_patch_parallel_size 2 needs a DiT group of at least as many ranks, and this has 1",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_what_to_write(tmp_path: Path, text: str, says: str) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(says) if says.startswith("deploy") else says in message


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    message = refusal(tmp_path, "stages:\n- {stage_id: 0, env: 1}\n- {stage_id: 1, max_num_sequences: 2}")
    assert [line.split(" ")[0] for line in message.splitlines()] == ["deploy.yaml:2:", "deploy.yaml:3:"]


def test_ranks_must_divide_the_heads_before_anything_is_built_for_them(tmp_path: Path) -> None:
    text = "stages:\n- stage_id: 0\n  tensor_parallel_size: 3"
    official = Served(model="ByteDance-Seed/BAGEL-7B-MoT", kv_heads=4)
    message = "deploy.yaml:3: tensor_parallel_size 3 does not divide the 4 KV heads of ByteDance-Seed/BAGEL-7B-MoT"
    assert refusal(tmp_path, text, official) == message
    assert "not built yet" in refusal(tmp_path, text, Served(model="owner/unknown", kv_heads=None))


def test_a_mistake_in_a_flag_names_the_flag(tmp_path: Path) -> None:
    assert refusal(tmp_path, "", flags=StageFlags(tensor_parallel_size=3)).startswith(
        "--tensor-parallel-size: tensor_parallel_size 3 does not divide the 2 KV heads of toy"
    )
    tiling = refusal(tmp_path, "", flags=StageFlags(vae_use_tiling=True))
    assert tiling == "--vae-use-tiling: vae_use_tiling: tiled VAE decoding is not built yet; leave it out"
    for text, says in (
        ("{", "--stage-overrides: is no JSON"),
        ("[" * 100_000, "--stage-overrides: is nested too deeply"),
        ('{"1": ' + "[" * 100 + "]" * 100 + "}", "--stage-overrides: is nested too deeply"),
        ("[1]", "--stage-overrides: must be stages by their numbers"),
        ('{"1": {"devces": 1}}', "--stage-overrides: unknown key stages[0].devces; the nearest valid key is devices"),
        ('{"7": {}}', "--stage-overrides: stage_id is 7; the pipeline bagel has"),
        ('{"1": {"stage_id": 0}}', "--stage-overrides: stage_id stands before the settings already"),
    ):
        assert refusal(tmp_path, "", overrides=text).startswith(says)


def test_a_flag_takes_the_place_of_a_wrong_value_of_the_file(tmp_path: Path) -> None:
    text = "stages: [{stage_id: 1, tensor_parallel_size: 2, parallel_config: {tensor_parallel_size: 2}}]"
    assert "not built yet" in refusal(tmp_path, text)
    assert deployed(tmp_path, text, flags=StageFlags(tensor_parallel_size=1)).pipeline.name == "bagel"


def test_what_is_merged_twice_and_differs_in_a_key_is_no_mistake(tmp_path: Path) -> None:
    text = """
        connectors:
          first: &first {name: SharedMemoryConnector, extra: &extra {shm_threshold_bytes: 1}}
          second: &second
            <<: *first
            extra: &more
              <<: *extra
              shm_threshold_bytes: 2
          third: *second
          fourth: {<<: *second, extra: *more}
    """
    part = deployed(tmp_path, textwrap.dedent(text)).part
    found = {name: entry["extra"]["shm_threshold_bytes"] for name, entry in (part.connectors or {}).items()}
    assert found == {"first": 1, "second": 2, "third": 2, "fourth": 2}
    twice = "connectors:\n  a: &a {name: x}\n  b:\n    <<: *a\n    name: y\n    name: z"
    assert refusal(tmp_path, twice) == "deploy.yaml:6: name stands there twice; remove one"
