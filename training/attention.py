"""Attention inside many samples at once, each sample two runs of rows: one operation for a whole step's rows.

Which keys a query sees is said by codes: every row's grows with its block, and with its place in blocks of text; a row
sees the keys whose codes are at most its own, and from `APART` on only equal ones. On a GPU this is
`attention_kernels`, elsewhere torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from training.blocks import CODES_A_BLOCK, Block

TILE = 64  # queries (or keys) of one kernel program
INNER = 128  # keys (or queries) that it looks at at a time
LAUNCH = {"num_warps": 4, "num_stages": 2}  # the fastest of 24 choices on an H200
APART = Block.NOISE * CODES_A_BLOCK
Shape = tuple[int, int, int]  # samples, gen rows and und rows of each


@dataclass(frozen=True, slots=True)
class Samples:
    """Where the rows of groups of like samples lie: [all groups' gen rows | all groups' und rows], int32 tables.

    `runs` [S, 4]: first gen row, gen rows, first und row, und rows of each sample. `tiles` [n, 2]: a sample and the
    first of `TILE` rows of it, the samples with most rows first.
    """

    shapes: tuple[Shape, ...]
    runs: Tensor
    tiles: Tensor


@cache
def samples_of(shapes: tuple[Shape, ...], device: torch.device) -> Samples:
    """The tables of groups of these shapes."""
    runs, tiles = [], []
    gen, und = 0, sum(count * num_gen for count, num_gen, _ in shapes)
    for count, num_gen, num_und in shapes:
        for _ in range(count):
            runs.append((gen, num_gen, und, num_und))
            gen, und = gen + num_gen, und + num_und
    for sample in sorted(range(len(runs)), key=lambda s: -(runs[s][1] + runs[s][3])):
        tiles += [(sample, start) for start in range(0, runs[sample][1] + runs[sample][3], TILE)]
    return Samples(shapes, *(torch.tensor(x, dtype=torch.int32, device=device) for x in (runs, tiles)))


def attend(q: Tensor, k: Tensor, v: Tensor, codes: Tensor, samples: Samples) -> Tensor:
    """q [N, A, d], k and v [N, K, d], codes [N] int32 -> [N, A, d]; head i reads key/value head i // (A // K)."""
    if q.is_cuda:
        out: Tensor = _attend(q, k, v, codes, samples.runs, samples.tiles)[0]
        return out
    return attend_by_group(q, k, v, codes, samples.shapes)


def attend_by_group(q: Tensor, k: Tensor, v: Tensor, codes: Tensor, shapes: Sequence[Shape]) -> Tensor:
    """The same in torch, group by group."""
    sizes = [count * gen for count, gen, _ in shapes] + [count * und for count, _, und in shapes]
    pieces = [torch.split(x, sizes) for x in (q, k, v, codes)]
    gen_rows, und_rows = [], []
    for index, (count, gen, und) in enumerate(shapes):
        own_q, own_k, own_v, own = (
            torch.cat((_split(x[index], count), _split(x[index + len(shapes)], count)), dim=1) for x in pieces
        )
        repeats = own_q.shape[2] // own_k.shape[2]
        own_k, own_v = (x.repeat_interleave(repeats, dim=2) for x in (own_k, own_v))
        seen = _seen(own[:, None, :], own[:, :, None])[:, None]
        own_q, own_k, own_v = (x.transpose(1, 2) for x in (own_q, own_k, own_v))
        out = F.scaled_dot_product_attention(own_q, own_k, own_v, attn_mask=seen)
        own_gen, own_und = torch.split(out.transpose(1, 2), [gen, und], dim=1)
        gen_rows.append(own_gen.flatten(0, 1))
        und_rows.append(own_und.flatten(0, 1))
    return torch.cat((*gen_rows, *und_rows))


def _seen(code: Tensor, limit: Tensor) -> Tensor:
    """Whether a query with `limit` sees a key with `code`."""
    return (code <= limit) & ((code < APART) | (code == limit))


def _split(x: Tensor, samples: int) -> Tensor:
    """[B * n, ...] -> [B, n, ...]."""
    return x.view(samples, -1, *x.shape[1:]) if x.shape[0] else x.view(samples, 0, *x.shape[1:])


@torch.library.custom_op("bagel_training::attend", mutates_args=())
def _attend(q: Tensor, k: Tensor, v: Tensor, codes: Tensor, runs: Tensor, tiles: Tensor) -> tuple[Tensor, Tensor]:
    """-> out [N, A, d], log2 of the sums of exponentials [N, A] float32."""
    from training import attention_kernels as kernels

    heads, d = q.shape[1:]
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty(q.shape[:2], dtype=torch.float32, device=q.device)
    kernels.forward[tiles.shape[0], heads](
        q, k, v, out, lse, codes, runs, tiles, q.stride(0), k.stride(0), v.stride(0), _scale(d),
        HEADS=heads, SHARE=heads // k.shape[1], D=d, APART=APART, BLOCK=TILE, INNER=INNER, **LAUNCH,
    )  # fmt: skip
    return out, lse


@torch.library.custom_op("bagel_training::attend_backward", mutates_args=())
def _attend_backward(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, codes: Tensor, runs: Tensor, tiles: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    from training import attention_kernels as kernels

    heads, d = q.shape[1:]
    dout = dout.contiguous()
    delta = (dout.float() * out.float()).sum(-1)
    dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    strides = q.stride(0), k.stride(0), v.stride(0)
    sizes = {"HEADS": heads, "SHARE": heads // k.shape[1], "D": d, "APART": APART, "BLOCK": TILE, "INNER": INNER}
    sizes |= LAUNCH
    tables = codes, runs, tiles, *strides, _scale(d)
    kernels.backward_queries[tiles.shape[0], heads](q, k, v, dout, lse, delta, dq, *tables, **sizes)
    kernels.backward_keys[tiles.shape[0], k.shape[1]](q, k, v, dout, lse, delta, dk, dv, *tables, **sizes)
    return dq, dk, dv


def _scale(head_dim: int) -> float:
    """Of scores in units of log 2."""
    return math.log2(math.e) / math.sqrt(head_dim)


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, codes: Tensor, runs: Tensor, tiles: Tensor) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=torch.float32)


@_attend_backward.register_fake
def _(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, codes: Tensor, runs: Tensor, tiles: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *output, *inputs[3:])


def _gradients(ctx: Any, dout: Tensor, dlse: Tensor) -> tuple[Tensor | None, ...]:
    del dlse
    q, k, v, out, lse, codes, runs, tiles = ctx.saved_tensors
    return *_attend_backward(dout, q, k, v, out, lse, codes, runs, tiles), None, None, None


_attend.register_autograd(_gradients, setup_context=_keep)
