"""Triton kernels of `training.attention`: attention inside samples whose rows lie in two runs, and its gradient.

A sample's rows are a run of gen rows and a run of und rows; row `t` of a sample is looked up where it lies, so nothing
is gathered, padded or joined. Who sees whom is said by codes, as there. Online softmax and the gradient's
recomputation: Dao, "FlashAttention-2" (2023). Scores are in units of log 2.
"""

import triton
import triton.language as tl

MASKED = tl.constexpr(-1.0e30)
INVISIBLE = tl.constexpr(2**30)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _rows(sample, t):
    """Where rows `t` of a sample lie, and which of them exist; `sample` -> (gen row, count, und row, count)."""
    gen, num_gen = tl.load(sample), tl.load(sample + 1)
    und, num_und = tl.load(sample + 2), tl.load(sample + 3)
    return tl.where(t < num_gen, gen + t, und + t - num_gen).to(tl.int64), t < num_gen + num_und


@triton.jit
def _length(sample):
    return tl.load(sample + 1) + tl.load(sample + 3)


@triton.jit
def _seen(code, limit, APART: tl.constexpr):
    return (code <= limit) & ((code < APART) | (code == limit))


@triton.jit
def forward(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, codes, samples, tiles, q_row, k_row, v_row, scale,
    HEADS: tl.constexpr, SHARE: tl.constexpr, D: tl.constexpr, APART: tl.constexpr,
    BLOCK: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """One tile of queries of one head: out [N, A, D] and log-sum-exp [N, A]."""
    head = tl.program_id(1)
    sample = samples + 4 * tl.load(tiles + 2 * tl.program_id(0))
    channels = tl.arange(0, D)
    rows, there = _rows(sample, tl.load(tiles + 2 * tl.program_id(0) + 1) + tl.arange(0, BLOCK))
    q = tl.load(q_ptr + rows[:, None] * q_row + head * D + channels[None, :], mask=there[:, None], other=0.0)
    limit = tl.load(codes + rows, mask=there, other=INVISIBLE - 1)
    top = tl.full([BLOCK], MASKED, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    out = tl.zeros([BLOCK, D], tl.float32)
    for start in range(0, _length(sample), INNER):
        keys, exist = _rows(sample, start + tl.arange(0, INNER))
        code = tl.load(codes + keys, mask=exist, other=INVISIBLE)
        at = keys[:, None] * k_row + (head // SHARE) * D + channels[None, :]
        k = tl.load(k_ptr + at, mask=exist[:, None], other=0.0)
        scores = tl.dot(q, tl.trans(k)) * scale
        scores = tl.where(_seen(code[None, :], limit[:, None], APART), scores, MASKED)
        higher = tl.maximum(top, tl.max(scores, 1))
        p = tl.exp2(scores - higher[:, None])
        kept = tl.exp2(top - higher)
        at = keys[:, None] * v_row + (head // SHARE) * D + channels[None, :]
        v = tl.load(v_ptr + at, mask=exist[:, None], other=0.0)
        out = out * kept[:, None] + tl.dot(p.to(v.dtype), v)
        total = total * kept + tl.sum(p, 1)
        top = higher
    out = out / total[:, None]
    at = (rows * HEADS + head)[:, None] * D + channels[None, :]
    tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), mask=there[:, None])
    tl.store(lse_ptr + rows * HEADS + head, top + tl.log2(total), mask=there)


@triton.jit
def backward_queries(
    q_ptr, k_ptr, v_ptr, dout_ptr, lse_ptr, delta_ptr, dq_ptr, codes, samples, tiles, q_row, k_row, v_row, scale,
    HEADS: tl.constexpr, SHARE: tl.constexpr, D: tl.constexpr, APART: tl.constexpr,
    BLOCK: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """One tile of queries of one head: dq [N, A, D]."""
    head = tl.program_id(1)
    sample = samples + 4 * tl.load(tiles + 2 * tl.program_id(0))
    channels = tl.arange(0, D)
    rows, there = _rows(sample, tl.load(tiles + 2 * tl.program_id(0) + 1) + tl.arange(0, BLOCK))
    own = (rows * HEADS + head)[:, None] * D + channels[None, :]
    q = tl.load(q_ptr + rows[:, None] * q_row + head * D + channels[None, :], mask=there[:, None], other=0.0)
    dout = tl.load(dout_ptr + own, mask=there[:, None], other=0.0)
    lse = tl.load(lse_ptr + rows * HEADS + head, mask=there, other=0.0)
    delta = tl.load(delta_ptr + rows * HEADS + head, mask=there, other=0.0)
    limit = tl.load(codes + rows, mask=there, other=-1)
    dq = tl.zeros([BLOCK, D], tl.float32)
    for start in range(0, _length(sample), INNER):
        keys, exist = _rows(sample, start + tl.arange(0, INNER))
        code = tl.load(codes + keys, mask=exist, other=INVISIBLE)
        at = (head // SHARE) * D + channels[None, :]
        k = tl.load(k_ptr + keys[:, None] * k_row + at, mask=exist[:, None], other=0.0)
        v = tl.load(v_ptr + keys[:, None] * v_row + at, mask=exist[:, None], other=0.0)
        p = tl.exp2(tl.dot(q, tl.trans(k)) * scale - lse[:, None])
        p = tl.where(_seen(code[None, :], limit[:, None], APART), p, 0.0)
        ds = p * (tl.dot(dout, tl.trans(v)) - delta[:, None])
        dq += tl.dot(ds.to(k.dtype), k)
    tl.store(dq_ptr + own, (dq * scale * LN2).to(dq_ptr.dtype.element_ty), mask=there[:, None])


@triton.jit
def backward_keys(
    q_ptr, k_ptr, v_ptr, dout_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr, codes, samples, tiles, q_row, k_row, v_row,
    scale, HEADS: tl.constexpr, SHARE: tl.constexpr, D: tl.constexpr, APART: tl.constexpr,
    BLOCK: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """One tile of keys of one key/value head, over all its query heads: dk and dv [N, K, D]."""
    kv_head = tl.program_id(1)
    sample = samples + 4 * tl.load(tiles + 2 * tl.program_id(0))
    channels = tl.arange(0, D)
    keys, exist = _rows(sample, tl.load(tiles + 2 * tl.program_id(0) + 1) + tl.arange(0, BLOCK))
    at = kv_head * D + channels[None, :]
    k = tl.load(k_ptr + keys[:, None] * k_row + at, mask=exist[:, None], other=0.0)
    v = tl.load(v_ptr + keys[:, None] * v_row + at, mask=exist[:, None], other=0.0)
    code = tl.load(codes + keys, mask=exist, other=INVISIBLE)
    dk = tl.zeros([BLOCK, D], tl.float32)
    dv = tl.zeros([BLOCK, D], tl.float32)
    for head in range(kv_head * SHARE, kv_head * SHARE + SHARE):
        for start in range(0, _length(sample), INNER):
            rows, there = _rows(sample, start + tl.arange(0, INNER))
            limit = tl.load(codes + rows, mask=there, other=-1)
            q = tl.load(q_ptr + rows[:, None] * q_row + head * D + channels[None, :], mask=there[:, None], other=0.0)
            own = (rows * HEADS + head)[:, None] * D + channels[None, :]
            dout = tl.load(dout_ptr + own, mask=there[:, None], other=0.0)
            lse = tl.load(lse_ptr + rows * HEADS + head, mask=there, other=0.0)
            delta = tl.load(delta_ptr + rows * HEADS + head, mask=there, other=0.0)
            p = tl.exp2(tl.dot(k, tl.trans(q)) * scale - lse[None, :])
            p = tl.where(_seen(code[:, None], limit[None, :], APART), p, 0.0)
            dv += tl.dot(p.to(dout.dtype), dout)
            ds = p * (tl.dot(v, tl.trans(dout)) - delta[None, :])
            dk += tl.dot(ds.to(q.dtype), q)
    own = (keys * (HEADS // SHARE) + kv_head)[:, None] * D + channels[None, :]
    tl.store(dk_ptr + own, (dk * scale * LN2).to(dk_ptr.dtype.element_ty), mask=exist[:, None])
    tl.store(dv_ptr + own, dv.to(dv_ptr.dtype.element_ty), mask=exist[:, None])
