"""From what `bagel serve` was told to one checked deployment: a file or the bundled one, then flags over it."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from bagel.errors import ConfigError
from services.launch.deploy.checks import Served, check_deploy
from services.launch.deploy.document import Node, Place, Problem, read_json, refuse, said
from services.launch.deploy.files import DEFAULT, bundled, find_deploy_file, read_deploy
from services.launch.deploy.merging import STAGE_ID, STAGES, merge
from services.launch.deploy.older import translate
from services.launch.deploy.schema import DeployPart, StageFields
from services.launch.deploy.validation import validated
from services.launch.pipelines import BAGEL, PIPELINES, Pipeline, PipelineStage

STAGE_OVERRIDES = "--stage-overrides"
PARALLEL = "parallel_config"
# Flags of the stage that draws, whichever stage the others are for.
_DRAWING = ("vae_patch_parallel_size", "vae_use_tiling")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFlags:
    """Flags that set a field of the stages: of `--stage-id`'s, else of all. Named as the fields."""

    num_replicas: int | None = None
    tensor_parallel_size: int | None = None
    vae_patch_parallel_size: int | None = None
    vae_use_tiling: bool | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    trust_remote_code: bool | None = None
    enforce_eager: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySources:
    """Everything that says something about a deployment, weakest first."""

    deploy_config: str | None = None
    stage_configs: str | None = None
    overrides: str | None = None  # JSON
    flags: StageFlags = StageFlags()
    stage_id: int | None = None  # whose the flags are


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A whole one, checked."""

    pipeline: Pipeline
    part: DeployPart
    document: Node
    translated: str | None = None  # of an older file: the present form as YAML

    def fields_of(self, stage: PipelineStage) -> StageFields:
        """What is said of a stage; nothing is a record too."""
        said_of = (each for each in self.part.stages or [] if each.stage_id == stage.stage_id)
        return next(said_of, StageFields(stage_id=stage.stage_id))


def load_deployment(sources: DeploySources, platform: str, served: Served) -> Deployment:
    """Reads files. Raises ConfigError with place and reason of every mistake."""
    document, translated = _file(sources, platform)
    named = validated(DeployPart, document).pipeline
    pipeline = PIPELINES[named] if named is not None else BAGEL
    if sources.overrides is not None:
        document = merge(document, _overrides(sources.overrides))
    document = merge(document, _flags(sources, pipeline))
    part = validated(DeployPart, document)
    check_deploy(document, part, pipeline, served)
    return Deployment(
        pipeline=pipeline, part=part, document=document, translated=translated
    )  # fmt: skip


def _file(sources: DeploySources, platform: str) -> tuple[Node, str | None]:
    if sources.stage_configs is None:
        named = sources.deploy_config
        return read_deploy(bundled()[DEFAULT] if named is None else find_deploy_file(named), platform), None
    if sources.deploy_config is not None:
        raise ConfigError("--stage-configs-path is the older form of --deploy-config; give one of them")
    document = translate(Path(sources.stage_configs).expanduser())
    return document, yaml.safe_dump(document.plain(), sort_keys=False)


def _overrides(text: str) -> Node:
    """`{"0": {...}, "1": {...}}` as a tree. Raises ConfigError."""
    node = read_json(text, STAGE_OVERRIDES)
    place = Place(STAGE_OVERRIDES)
    wrong = [key for key, value in node.entries.items() if not key.isdecimal() or not isinstance(value.value, dict)]
    if not node.entries or wrong:
        refuse([Problem(place, 'must be stages by their numbers, such as {"1": {"num_replicas": 2}}')])
    for key, value in node.entries.items():
        if STAGE_ID in value.entries:
            refuse([Problem(place, f"stage_id stands before the settings already: {key}; remove it inside")])
    stages = [Node({STAGE_ID: Node(int(key), place), **value.entries}, place) for key, value in node.entries.items()]
    return Node({STAGES: Node(tuple(stages), place)}, place)


def _flags(sources: DeploySources, pipeline: Pipeline) -> Node:
    """A tree of the flags that were given."""
    place = Place("flags")
    stages = []
    for stage in pipeline.stages:
        given = dict(_given(sources.flags, drawing=stage.draws, others=sources.stage_id in (None, stage.stage_id)))
        if given:
            nested = {name: given.pop(name) for name in ("vae_patch_parallel_size",) if name in given}
            if "tensor_parallel_size" in given:
                nested["tensor_parallel_size"] = given["tensor_parallel_size"]
            if nested:
                given[PARALLEL] = Node(nested, place)
            stages.append(Node({STAGE_ID: Node(stage.stage_id, place), **given}, place))
    return Node({STAGES: Node(tuple(stages), place)} if stages else {}, place)


def _given(flags: StageFlags, *, drawing: bool, others: bool) -> Iterator[tuple[str, Node]]:
    """Those that say something to a stage."""
    for field in fields(StageFlags):
        value = getattr(flags, field.name)
        if value is not None and (drawing if field.name in _DRAWING else others):
            yield field.name, said(value, "--" + field.name.replace("_", "-"))
