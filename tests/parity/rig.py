"""The product's engines over one checkpoint, in this process, without transport."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bagel.config import ModelConfig, load_model_config
from bagel.kv_layout import KvLayout, KvMemory
from bagel.model.attention import sdpa_attention
from bagel.model.device import open_device
from bagel.model.kv import gather_layer, pool_view, torch_dtype
from bagel.model.stages import DitModel, ThinkerModel
from bagel.model.weights import SafetensorsSource, build_stage
from bagel.tokens import Tokenizer
from services.dit.denoiser import Context, Denoiser
from services.thinker.execution import SealedContext
from services.thinker.pages import PagePool, Sequence
from services.thinker.runner import Runner

POOL_TOKENS = 8192


@dataclass
class Rig:
    """Everything a case needs."""

    config: ModelConfig
    tokenizer: Tokenizer
    runner: Runner
    denoiser: Denoiser
    pool: Tensor

    @classmethod
    def build(cls, checkpoint: Path, *, device: str, dtype: str, page_tokens: int) -> "Rig":
        where = open_device(device)
        config = load_model_config(checkpoint)
        tokenizer = Tokenizer(checkpoint)
        layout = KvLayout.of(config.llm, page_tokens=page_tokens, dtype=dtype)
        source = SafetensorsSource(checkpoint, config)
        special = tokenizer.special
        thinker = build_stage(
            lambda: ThinkerModel(config), source, device=where, dtype=torch_dtype(dtype), progress=_silent
        )
        dit = build_stage(
            lambda: DitModel(config, (special.image_start, special.image_end)),
            source, device=where, dtype=torch_dtype(dtype), progress=_silent,
        )  # fmt: skip
        pages = PagePool(layout.pages_for(POOL_TOKENS), page_tokens)
        memory = torch.full((pages.num_pages * layout.page_bytes,), 0xFF, dtype=torch.uint8, device=where)
        pool = pool_view(memory, KvMemory.in_order(layout))
        runner = Runner(thinker, special, pages, pool, layout, sdpa_attention)
        return cls(config, tokenizer, runner, Denoiser(dit, layout, sdpa_attention, where), pool)

    def keys_values(self, sequence: Sequence, layer: int) -> tuple[Tensor, Tensor]:
        """K and V [S, K, d] of a sequence in one layer."""
        pages = torch.tensor(sequence.pages, dtype=torch.long, device=self.pool.device)
        return gather_layer(self.pool, pages, layer, sequence.tokens)


def contexts(sealed: list[SealedContext]) -> list[Context]:
    """The Thinker's contexts as the DiT takes them."""
    return [Context(c.roles, c.pages, c.tokens, c.rope) for c in sealed]


def _silent(done: int, total: int) -> None:
    """No progress for small files."""
