"""From a stage's flags to its model on a device: what Thinker and DiT do alike. Blocking; device thread."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bagel.checkpoint import ModelSource, model_hash, resolve_model
from bagel.config import ModelConfig, load_model_config
from bagel.kv_layout import KvLayout
from bagel.model.device import open_device, resolve_dtype
from bagel.model.kv import torch_dtype
from bagel.model.memory import check_positions
from bagel.model.weights import DummySource, SafetensorsSource, StageModel, build_stage
from bagel.progress import LoadProgress
from bagel.stage import StageMonitor
from bagel.stage_flags import StageConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """A model that was found, and what it will run on; no weights yet."""

    source: ModelSource
    config: ModelConfig
    layout: KvLayout
    device: torch.device
    name: str
    hash: str


def open_model(flags: StageConfig) -> OpenedModel:
    """Find the model and the device, and check the flags against the model. Raises ConfigError."""
    if flags.threads:
        torch.set_num_threads(flags.threads)
    source = resolve_model(flags.model, load_format=flags.load_format, revision=flags.revision)
    config = load_model_config(source.folder)
    check_positions(flags, config.llm.max_positions)
    device = open_device(flags.device)
    layout = KvLayout.of(config.llm, page_tokens=flags.kv_page_tokens, dtype=resolve_dtype(flags.dtype, device))
    return OpenedModel(
        source=source,
        config=config,
        layout=layout,
        device=device,
        name=flags.model_name or source.name,
        hash=model_hash(source, config),
    )


def load_stage(
    opened: OpenedModel, make: Callable[[], StageModel], flags: StageConfig, monitor: StageMonitor
) -> StageModel:
    """Fill a stage's module, showing how far it is. Raises ConfigError."""
    config, source = opened.config, opened.source
    monitor.find_model(opened.name, opened.hash)
    with LoadProgress(f"weights of {opened.name}", bar=False if flags.plain_progress else None) as progress:
        monitor.loading = progress
        monitor.explain(lambda: f"loading {progress.text}")
        return build_stage(
            make,
            DummySource(config) if source.dummy else SafetensorsSource(source.folder, config),
            device=opened.device,
            dtype=torch_dtype(opened.layout.dtype),
            progress=progress,
        )
