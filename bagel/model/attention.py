"""The attention kernel behind one small interface. Knows nothing of caches: callers hand in whole keys and values."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

# cuDNN is the fastest on a Hopper GPU, but builds a plan for every new length, which takes longer than many a call:
# decoding meets a new length with every token.
CUDNN_MIN_QUERIES = 256
_WITHOUT_CUDNN = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class Attention(Protocol):
    """Softmax attention of one sequence with grouped key/value heads, scale 1/sqrt(d)."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
        """q [N, A, d], k and v [S, K, d] -> [N, A, d]; query head i reads key/value head i // (A // K).

        The N queries are the last N of the S rows. With `causal` row r sees the rows up to its own; without it every
        query sees every row.
        """
        ...


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """The `Attention` interface on torch's scaled_dot_product_attention."""
    if q.is_cuda and q.shape[0] < CUDNN_MIN_QUERIES:
        with sdpa_kernel(_WITHOUT_CUDNN):
            return _sdpa(q, k, v, causal=causal)
    return _sdpa(q, k, v, causal=causal)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    queries, rows = q.shape[0], k.shape[0]
    mask = None
    if causal and 1 < queries < rows:
        # Aligned at the bottom right: the past is visible to all.
        mask = torch.ones(queries, rows, dtype=torch.bool, device=q.device).tril(rows - queries)
    out = scaled_dot_product_attention(
        q.transpose(0, 1)[None],
        k.transpose(0, 1)[None],
        v.transpose(0, 1)[None],
        attn_mask=mask,
        is_causal=causal and queries == rows and queries > 1,
        enable_gqa=q.shape[1] != k.shape[1],
    )
    return out[0].transpose(0, 1)
