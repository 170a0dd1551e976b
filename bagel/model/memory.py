"""How much KV memory a stage takes: as many tokens as it was told, or what a part of a GPU's memory leaves for it."""

import torch

from bagel.errors import ConfigError
from bagel.kv_layout import KvLayout
from bagel.logs import get_logger
from bagel.stage_flags import StageConfig

GIB = 1 << 30
# What a step, a picture's encoding or decoding takes besides weights and KV memory, at the largest pictures.
RESERVE_BYTES = 6 * GIB


def pages_within(
    *, total_bytes: int, free_bytes: int, held_bytes: int, share: float, reserve_bytes: int, page_bytes: int
) -> int:
    """Pages of KV memory that fit into a share of a device, beside what this process holds already and a reserve.

    `free_bytes` is what nobody holds: others may have taken part of the share. Raises ConfigError when no page fits.
    """
    left = min(int(share * total_bytes) - held_bytes, free_bytes) - reserve_bytes
    if left >= page_bytes:
        return left // page_bytes
    raise ConfigError(
        f"--gpu-memory-utilization {share:g}: nothing is left for KV memory. Of {_gib(total_bytes)} on the device the"
        f" share is {_gib(share * total_bytes)}; weights take {_gib(held_bytes)}, the reserve for computing"
        f" {_gib(reserve_bytes)}, and {_gib(free_bytes)} are free: raise the share, take a larger device, or give the"
        " stage fewer --tasks"
    )


def pool_pages(flags: StageConfig, layout: KvLayout, device: torch.device, *, beside_bytes: int = 0) -> int:
    """Pages of a stage's KV memory. After its weights are loaded; `beside_bytes` are set aside. Raises ConfigError."""
    if flags.gpu_memory_utilization is None:
        return layout.pages_for(flags.kv_pool_tokens)
    if device.type != "cuda":
        get_logger().warning("gpu_memory_utilization_ignored", device=device.type, kv_pool_tokens=flags.kv_pool_tokens)
        return layout.pages_for(flags.kv_pool_tokens)
    torch.cuda.empty_cache()  # what loading left behind
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    held_bytes = torch.cuda.memory_reserved(device)
    pages = pages_within(
        total_bytes=total_bytes,
        free_bytes=free_bytes,
        held_bytes=held_bytes,
        share=flags.gpu_memory_utilization,
        reserve_bytes=RESERVE_BYTES + beside_bytes,
        page_bytes=layout.page_bytes,
    )
    get_logger().info("kv_memory", tokens=pages * layout.page_tokens, gib=round(pages * layout.page_bytes / GIB, 1))
    return pages


def check_positions(flags: StageConfig, max_positions: int) -> None:
    """Raise ConfigError for contexts longer than the model's positions. Before weights are loaded."""
    if flags.max_model_len is not None and flags.max_model_len > max_positions:
        raise ConfigError(
            f"--max-model-len {flags.max_model_len} is more than the model's {max_positions} positions: lower it"
        )


def context_tokens(flags: StageConfig, *, pool_tokens: int) -> int:
    """Most tokens of a request's context."""
    return pool_tokens if flags.max_model_len is None else min(flags.max_model_len, pool_tokens)


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
