"""Whether values make sense together, and whether an engine for them exists. Pure, but for reading connectors' keys.

First what could never be, then what is not built: who asks for three ranks of four heads hears of the heads.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bagel.tasks import TaskKind
from services.launch.deploy.document import Node, Problem, refuse
from services.launch.deploy.links import EDGES, check_links
from services.launch.deploy.merging import stage_node
from services.launch.deploy.schema import TEXT_ONLY, DeployPart, ParallelConfig, StageFields
from services.launch.pipelines import Pipeline

_PARAMS = ("default_sampling_params",)
NO_TENSOR_PARALLEL = "tensor parallelism is not built yet: an engine runs on one device; take 1, or more replicas"
NO_VAE_PARALLEL = "VAE patch parallelism is not built yet: a DiT decodes on one device; take 1"
NO_TILING = "tiled VAE decoding is not built yet; leave it out"
NO_HSDP = "hybrid sharding is not built yet: an engine has all its weights on one device; leave it out"
NO_PREFIX_CACHE = "there is no prefix cache yet; take false"
NO_CHUNKS = "stages send pages as they become full, and nothing else in chunks; take false"
NO_RAW_IDS = "answers are texts, never bare token ids; take true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What checks need to know of the model, as far as it is known before a download."""

    model: str
    kv_heads: int | None = None
    max_positions: int | None = None


def check_deploy(document: Node, part: DeployPart, pipeline: Pipeline, served: Served) -> None:
    """Raises ConfigError with every mistake."""
    problems = list(_whole(document, part))
    for fields in part.stages or []:
        node = stage_node(document, fields.stage_id)
        assert node is not None
        problems += _StageChecks(node, fields, pipeline, served).run()
    problems += check_links(document, part)
    refuse(problems)


def _whole(document: Node, part: DeployPart) -> Iterator[Problem]:
    if part.async_chunk:
        yield Problem(document.place_of(("async_chunk",)), f"async_chunk: {NO_CHUNKS}")


class _StageChecks:
    """Of one stage."""

    def __init__(self, node: Node, fields: StageFields, pipeline: Pipeline, served: Served) -> None:
        self._node, self._fields, self._pipeline, self._served = node, fields, pipeline, served
        self._parallel = fields.parallel_config or ParallelConfig()

    def run(self) -> list[Problem]:
        """Every mistake."""
        if self._pipeline.stage(self._fields.stage_id) is None:
            known = self._pipeline.shown_stages()
            what = f"stage_id is {self._fields.stage_id}; the pipeline {self._pipeline.name} has {known}"
            return [self._problem(what, "stage_id")]
        return [*self._tensor_parallel(), *self._rest(), *self._requests(), *self._sampling(), *self._alone()]

    def _tensor_parallel(self) -> Iterator[Problem]:
        own, other = self._fields.tensor_parallel_size, self._parallel.tensor_parallel_size
        nested = ("parallel_config", "tensor_parallel_size")
        if own is not None and other is not None and own != other:
            yield self._problem(f"tensor_parallel_size is {other} here and {own} beside it; give one", *nested)
            return
        path = ("tensor_parallel_size",) if own is not None else nested
        size = own or other or 1
        heads = self._served.kv_heads
        if heads is not None and heads % size:
            what = f"tensor_parallel_size {size} does not divide the {heads} KV heads of {self._served.model}"
            yield self._problem(what, *path)
        elif size > 1:
            yield self._problem(f"tensor_parallel_size {size}: {NO_TENSOR_PARALLEL}", *path)

    def _rest(self) -> Iterator[Problem]:
        fields, parallel = self._fields, self._parallel
        ranks = fields.tensor_parallel_size or parallel.tensor_parallel_size or 1
        patches = parallel.vae_patch_parallel_size or 1
        if patches > ranks:
            what = (
                f"vae_patch_parallel_size {patches} needs a DiT group of at least as many ranks, and this has {ranks}"
            )
            yield self._problem(what, "parallel_config", "vae_patch_parallel_size")
        elif patches > 1:
            what = f"vae_patch_parallel_size {patches}: {NO_VAE_PARALLEL}"
            yield self._problem(what, "parallel_config", "vae_patch_parallel_size")
        for name in ("hsdp_shard_size", "hsdp_replicate_size", "use_hsdp"):
            value = getattr(parallel, name)
            if value is not None and value > (not isinstance(value, bool)):
                yield self._problem(f"{name}: {NO_HSDP}", "parallel_config", name)
        if fields.vae_use_tiling:
            yield self._problem(f"vae_use_tiling: {NO_TILING}", "vae_use_tiling")
        if fields.enable_prefix_caching:
            yield self._problem(f"enable_prefix_caching: {NO_PREFIX_CACHE}", "enable_prefix_caching")

    def _requests(self) -> Iterator[Problem]:
        """Whether it can serve any, and such long ones."""
        stage, fields = self._pipeline.stage(self._fields.stage_id), self._fields
        tasks, tokens = fields.tasks, fields.max_model_len
        if stage is not None and stage.draws and tasks is not None and not any(TaskKind(task).draws for task in tasks):
            what = f"tasks: none ends in a picture, which {stage.name} is for; add text2img or img2img"
            yield self._problem(what, "tasks")
        positions = self._served.max_positions
        if tokens is not None and positions is not None and tokens > positions:
            what = f"max_model_len {tokens} is more than the {positions} positions of {self._served.model}; lower it"
            yield self._problem(what, "max_model_len")

    def _sampling(self) -> Iterator[Problem]:
        """Settings of texts belong to the stage that writes, those of pictures to the one that draws."""
        stage, defaults = self._pipeline.stage(self._fields.stage_id), self._fields.default_sampling_params
        if stage is None or defaults is None:
            return
        for name in defaults.model_fields_set:
            of_texts = name in TEXT_ONLY
            if name != "seed" and not (stage.writes if of_texts else stage.draws):
                makes = "texts" if of_texts else "pictures"
                yield self._problem(f"{name} is of {makes}, which {stage.name} does not make", *_PARAMS, name)
        if defaults.detokenize is False:
            yield self._problem(f"detokenize: {NO_RAW_IDS}", *_PARAMS, "detokenize")
        if defaults.guidance_scale is not None and defaults.cfg_text_scale is not None:
            yield self._problem(
                "guidance_scale is another name of cfg_text_scale; give one", *_PARAMS, "guidance_scale"
            )

    def _alone(self) -> Iterator[Problem]:
        """A stage by itself has nobody to send to."""
        if len(self._pipeline.stages) > 1:
            return
        for edge in EDGES:
            if getattr(self._fields, edge):
                yield self._problem(f"{edge}: the pipeline {self._pipeline.name} has one stage, nothing travels", edge)

    def _problem(self, what: str, *path: str) -> Problem:
        return Problem(self._node.place_of(path), what)
