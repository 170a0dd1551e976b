"""The three pipelines: which stages there are, what each takes, makes and sends, and when.

Frozen records; a deploy file names one, or it is seen from the checkpoint.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bagel.errors import ConfigError

MODEL_TYPE = "bagel"
_CONFIG_FILES = ("llm_config.json", "vit_config.json")


class Execution(StrEnum):
    """How a stage computes."""

    AUTOREGRESSIVE = "autoregressive"
    DIFFUSION = "diffusion"
    BOTH = "both"


class Sends(StrEnum):
    """When a stage's cache may be read."""

    PREFILL_FINISHED = "prefill_finished"
    THOUGHT_FINISHED = "thought_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStage:
    """One kind of process."""

    stage_id: int
    name: str  # of its processes
    module: str
    execution: Execution
    inputs: tuple[int, ...] = ()  # stages whose cache it reads
    owns_tokenizer: bool = False
    takes_pictures: bool = False
    ends_with: tuple[str, ...] = ()  # what it can answer
    sends: Sends | None = None

    @property
    def writes(self) -> bool:
        """Whether it makes texts."""
        return self.execution is not Execution.DIFFUSION

    @property
    def draws(self) -> bool:
        """Whether it makes pictures."""
        return self.execution is not Execution.AUTOREGRESSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Stages that serve all tasks together. `think`: unless a request says otherwise."""

    name: str
    stages: tuple[PipelineStage, ...]
    think: bool = False

    def stage(self, stage_id: int) -> PipelineStage | None:
        """The one with that id."""
        return next((stage for stage in self.stages if stage.stage_id == stage_id), None)

    def shown_stages(self) -> str:
        """For messages."""
        return " and ".join(f"{stage.stage_id} ({stage.name})" for stage in self.stages)


def _thinker(sends: Sends) -> PipelineStage:
    return PipelineStage(
        stage_id=0, name="thinker", module="services.thinker", execution=Execution.AUTOREGRESSIVE, owns_tokenizer=True,
        takes_pictures=True, ends_with=("text",), sends=sends,
    )  # fmt: skip


_DIT = PipelineStage(
    stage_id=1, name="dit", module="services.dit", execution=Execution.DIFFUSION, inputs=(0,), ends_with=("image",)
)
_SINGLE = PipelineStage(
    stage_id=0, name="single", module="services.launch.single", execution=Execution.BOTH, owns_tokenizer=True,
    takes_pictures=True, ends_with=("text", "image"),
)  # fmt: skip

BAGEL = Pipeline(name="bagel", stages=(_thinker(Sends.PREFILL_FINISHED), _DIT))
BAGEL_THINK = Pipeline(name="bagel_think", stages=(_thinker(Sends.THOUGHT_FINISHED), _DIT), think=True)
BAGEL_SINGLE_STAGE = Pipeline(name="bagel_single_stage", stages=(_SINGLE,))
PIPELINES = {pipeline.name: pipeline for pipeline in (BAGEL, BAGEL_THINK, BAGEL_SINGLE_STAGE)}


def detect_pipeline(folder: Path) -> Pipeline:
    """The pipeline of a checkpoint whose deploy file names none. Raises ConfigError: it is no BAGEL checkpoint."""
    for name in _CONFIG_FILES:
        if not (folder / name).is_file():
            raise ConfigError(
                f"{folder}: has no {name}, so it is no BAGEL checkpoint, and there is a pipeline for no other"
            )
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return BAGEL  # an early official copy was no strict JSON
    kind = told.get("model_type", MODEL_TYPE) if isinstance(told, dict) else MODEL_TYPE
    if kind != MODEL_TYPE:
        raise ConfigError(f"{folder}/config.json: model_type is {kind!r}; there is a pipeline for {MODEL_TYPE!r} alone")
    return BAGEL
