"""The older stage-config form (`--stage-configs-path`) as a tree of the present one.

Values keep the places where they were written, so that later messages point into the file that a person has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bagel.errors import ConfigError
from services.launch.deploy.document import Node, Problem, Step, read_yaml, refuse
from services.launch.deploy.merging import twice
from services.launch.deploy.validation import validated

THINKER, DIT = "thinker", "dit"
# What a stage is called here, by the path where the older form says it.
_FIELDS: Mapping[tuple[str, ...], str] = MappingProxyType(
    {
        ("stage_id",): "stage_id",
        ("runtime", "devices"): "devices",
        ("runtime", "max_batch_size"): "max_num_seqs",
        **{
            ("engine_args", name): name
            for name in (
                "max_num_seqs", "max_num_batched_tokens", "max_model_len", "gpu_memory_utilization", "enforce_eager",
                "enable_prefix_caching", "trust_remote_code", "tensor_parallel_size", "parallel_config",
                "vae_use_tiling",
            )
        },
        **{(name,): name for name in ("default_sampling_params", "input_connectors", "output_connectors")},
    }
)  # fmt: skip
_SHARED_MEMORY = "shared_memory_connector"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _KvConfig(_Strict):
    need_send_cache: bool | None = None
    need_recv_cache: bool | None = None
    kv_transfer_criteria: Any = None  # the pipeline knows when


class _EngineArgs(_Strict):
    model_stage: Literal["thinker", "dit"]
    model_arch: Literal["BagelForConditionalGeneration"] | None = None
    omni_kv_config: _KvConfig | None = None
    # Checked as fields of the present form.
    max_num_seqs: Any = None
    max_num_batched_tokens: Any = None
    max_model_len: Any = None
    gpu_memory_utilization: Any = None
    enforce_eager: Any = None
    enable_prefix_caching: Any = None
    trust_remote_code: Any = None
    tensor_parallel_size: Any = None
    parallel_config: Any = None
    vae_use_tiling: Any = None
    # How another system runs its workers; nothing here.
    worker_type: Any = None
    scheduler_cls: Any = None
    engine_output_type: Any = None
    distributed_executor_backend: Any = None


class _StageRuntime(_Strict):
    devices: Any = None
    max_batch_size: Any = None
    process: Any = None


class _StageArgs(_Strict):
    stage_id: int
    stage_type: Literal["llm", "diffusion"] | None = None
    runtime: _StageRuntime | None = None
    engine_args: _EngineArgs
    engine_input_source: list[int] | None = None
    default_sampling_params: Any = None
    input_connectors: Any = None
    output_connectors: Any = None
    final_output: Any = None
    final_output_type: Any = None
    is_comprehension: Any = None


class _Limits(_Strict):
    window_size: Literal[-1] | None = None
    max_inflight: int | None = None


class _Runtime(_Limits):
    shm_threshold_bytes: int | None = None
    connectors: Any = None
    enabled: Any = None
    defaults: _Limits | None = None
    edges: Any = None


class _StageConfigs(_Strict):
    stage_args: list[_StageArgs]
    runtime: _Runtime | None = None


def translate(path: Path) -> Node:
    """A file, or the only one of a folder, in the present form. Raises ConfigError with every mistake."""
    old = read_yaml(_file(path))
    whole = validated(_StageConfigs, old)
    stages = old.entries["stage_args"]
    refuse([*twice(Node({"stages": stages}, old.place)), *_contradictions(stages, whole)])
    new: dict[str, Node] = {}
    first = stages.items[0]
    single = [stage.engine_args.model_stage for stage in whole.stage_args] == [DIT]
    new["pipeline"] = Node("bagel_single_stage" if single else "bagel", first.place)
    translated = tuple(_stage(stage) for stage in stages.items)
    runtime = old.entries.get("runtime", Node({}, old.place))
    for place in (runtime.entries.get("defaults"), runtime):
        if place is not None and "max_inflight" in place.entries:
            new["max_inflight"] = place.entries["max_inflight"]
    connectors = runtime.entries.get("connectors")
    if connectors is not None and connectors.value not in (None, {}):
        new["connectors"] = connectors
    threshold = runtime.entries.get("shm_threshold_bytes")
    if threshold is not None and not single:
        if "connectors" not in new:
            translated = tuple(_linked(stage, threshold) for stage in translated)
        new["connectors"] = _with_threshold(new.get("connectors"), threshold)
    new["stages"] = Node(translated, stages.place)
    return Node(new, old.place)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted((*path.glob("*.yaml"), *path.glob("*.yml")))
    if len(found) != 1:
        raise ConfigError(f"--stage-configs-path {path}: is a folder with {len(found)} YAML files; name one of them")
    return found[0]


def _contradictions(stages: Node, whole: _StageConfigs) -> Iterator[Problem]:
    """What no pipeline is like."""
    kinds = {stage.stage_id: stage.engine_args.model_stage for stage in whole.stage_args}
    if kinds not in ({0: THINKER, 1: DIT}, {0: DIT}):
        shown = ", ".join(f"{number} {kind}" for number, kind in kinds.items()) or "none"
        yield Problem(stages.place, f"stages are {shown}; there must be 0 thinker and 1 dit, or 0 dit alone")
        return
    for index, stage in enumerate(whole.stage_args):
        for what, *step in _wrong(stage, alone=len(kinds) == 1):
            yield Problem(stages.place_of((index, *step)), what)


def _wrong(stage: _StageArgs, *, alone: bool) -> Iterator[tuple[str, *tuple[Step, ...]]]:
    kind, cache = stage.engine_args.model_stage, stage.engine_args.omni_kv_config or _KvConfig()
    wanted = "llm" if kind == THINKER else "diffusion"
    if stage.stage_type not in (None, wanted):
        yield f"stage_type of the {kind} must be {wanted}, not {stage.stage_type}", "stage_type"
    inputs = [0] if kind == DIT and not alone else []
    if stage.engine_input_source not in (None, inputs):
        yield f"engine_input_source of the {kind} must be {inputs}", "engine_input_source"
    key, other = ("need_send_cache", "need_recv_cache") if kind == THINKER else ("need_recv_cache", "need_send_cache")
    sends = cache.need_send_cache if kind == THINKER else cache.need_recv_cache
    strange = cache.need_recv_cache if kind == THINKER else cache.need_send_cache
    if sends is False and not alone:
        yield f"{key} must be true: pictures are made of the thinker's cache", "engine_args", "omni_kv_config", key
    if strange or (alone and sends):
        name = other if strange else key
        yield f"{name}: nobody is there to exchange a cache with", "engine_args", "omni_kv_config", name


def _stage(old: Node) -> Node:
    new = {}
    for path, name in _FIELDS.items():
        node = old
        for step in path:
            node = node.entries.get(step, Node(None, old.place))
        if node.value is not None:
            new[name] = node
    return Node(new, old.place)


def _with_threshold(connectors: Node | None, threshold: Node) -> Node:
    """The threshold for every shared memory connector that has none, or a connector of its own."""
    place = threshold.place
    if connectors is not None and not isinstance(connectors.value, Mapping):
        return connectors  # refused as a field of the present form
    named = dict(connectors.entries) if connectors is not None else {}
    own = Node({"name": Node("SharedMemoryConnector", place)}, place)
    for name, node in (named or {_SHARED_MEMORY: own}).items():
        if (kind := node.entries.get("name")) is not None and kind.value == "SharedMemoryConnector":
            extra = node.entries.get("extra", Node({}, place))
            if not isinstance(extra.value, Mapping):
                continue
            filled = Node({"shm_threshold_bytes": threshold, **extra.entries}, extra.place)
            named[name] = Node({**node.entries, "extra": filled}, node.place)
    return Node(named, place)


def _linked(stage: Node, threshold: Node) -> Node:
    """Where no connector is named, the stages take shared memory, so that the threshold holds."""
    edge, link = ("output_connectors", "to_stage_1")
    if stage.entries["stage_id"].value == 1:
        edge, link = ("input_connectors", "from_stage_0")
    if edge in stage.entries:
        return stage
    links = Node({link: Node(_SHARED_MEMORY, threshold.place)}, threshold.place)
    return Node({**stage.entries, edge: links}, stage.place)
