"""Keys and values in torch: the Thinker's paged context and the DiT's static branch buffers.

Both are `KvContext`s: the language model hands them rows and gets attention back. Neither owns pages or memory.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bagel.kv_layout import KvLayout, KvMemory, page_runs
from bagel.model.attention import Attention


def torch_dtype(name: str) -> torch.dtype:
    """The torch dtype of a layout's dtype name."""
    match name:
        case "float32":
            return torch.float32
        case "bfloat16":
            return torch.bfloat16
        case _:
            raise ValueError(f"unknown dtype {name!r}")


def pool_view(memory: Tensor, kv: KvMemory) -> Tensor:
    """Bytes [n] uint8 as pages [P, K, L, 2, T, d], as many as lie in them. Raises ValueError when none does."""
    values = memory.view(torch_dtype(kv.layout.dtype))
    count = (memory.numel() - kv.page_extent) // kv.strides[0] + 1
    if count < 1:
        raise ValueError(f"{memory.numel()} B of memory hold no page of {kv.page_extent} B")
    strides = [stride // values.element_size() for stride in kv.strides]
    return values.as_strided((count, *kv.layout.page_shape), strides)


def pages_on(device: torch.device, pool: Tensor, pages: Sequence[int]) -> Tensor:
    """Copies [n, K, L, 2, T, d] of some of a pool's pages, on a device: neighbours cross together, straight from there.

    Gathered on the host first, they would be written once more, and to memory that the kernel has yet to find.
    """
    out = torch.empty((len(pages), *pool.shape[1:]), dtype=pool.dtype, device=device)
    done = 0
    for run in page_runs(list(pages)):
        out[done : done + run.count].copy_(pool[run.start : run.start + run.count])
        done += run.count
    return out


class PagedContext:
    """One sequence in a page pool, to which one block's rows are appended.

    Rows come as [gen | und]; `slots` [N] gives each row's place in the sequence, so that the cache keeps the order of
    arrival. Causal blocks must come in that order already.
    """

    def __init__(
        self, pool: Tensor, pages: Sequence[int], *, past: int, slots: Tensor, causal: bool, attention: Attention
    ) -> None:
        self._pool = pool
        self._page_tokens = pool.shape[4]
        self._pages = torch.tensor(list(pages), dtype=torch.long, device=pool.device)
        self._length = past + len(slots)
        slots = slots.to(pool.device)
        self._slot_pages = self._pages[slots // self._page_tokens]
        self._slot_offsets = slots % self._page_tokens
        self._causal = causal
        self._attention = attention

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Write k, v [N, K, d] to their slots, then attend over the whole sequence."""
        self._pool[self._slot_pages, :, layer, 0, self._slot_offsets] = k
        self._pool[self._slot_pages, :, layer, 1, self._slot_offsets] = v
        keys, values = gather_layer(self._pool, self._pages, layer, self._length)
        return self._attention(q, keys, values, causal=self._causal)


def gather_layer(pool: Tensor, pages: Tensor, layer: int, length: int) -> tuple[Tensor, Tensor]:
    """Keys and values [length, K, d] of one layer from pages [n]."""
    both = pool[pages, :, layer]  # [n, K, 2, T, d]
    rows = both.permute(2, 0, 3, 1, 4).reshape(2, -1, pool.shape[1], pool.shape[5])[:, :length]
    return rows[0], rows[1]


class BranchBuffers:
    """Static buffers of the branches of one picture: [context | image rows], the image rows rewritten each step.

    A branch's image rows stand in two places of the batch: its latents among the gen rows, its two markers among the
    und rows. Their order inside the block is free: attention is full and all share one rotary position.
    """

    def __init__(self, layout: KvLayout, context_tokens: Sequence[int], image_rows: int, device: torch.device) -> None:
        self.context_tokens = tuple(context_tokens)
        self.image_rows = image_rows  # latents and the two markers
        dtype = torch_dtype(layout.dtype)
        self.buffers = [
            torch.zeros(
                layout.num_layers, 2, tokens + image_rows, layout.num_kv_heads, layout.head_dim,
                dtype=dtype, device=device,
            )
            for tokens in context_tokens
        ]  # fmt: skip

    def load_context(self, branch: int, pages: Tensor) -> None:
        """Copy pages [n, K, L, 2, T, d] into a branch's context rows."""
        tokens = self.context_tokens[branch]
        if tokens:
            rows = pages.permute(2, 3, 0, 4, 1, 5).flatten(2, 3)  # [L, 2, n*T, K, d]
            self.buffers[branch][:, :, :tokens] = rows[:, :, :tokens]

    def select(self, branches: Sequence[int], attention: Attention) -> "BranchStep":
        """The `KvContext` of one forward over some of the branches, in this order."""
        return BranchStep(
            [self.buffers[b] for b in branches], [self.context_tokens[b] for b in branches], self.image_rows, attention
        )


class BranchStep:
    """One forward over branches whose rows come as [B * m latents | B * 2 markers]."""

    def __init__(
        self, buffers: Sequence[Tensor], contexts: Sequence[int], image_rows: int, attention: Attention
    ) -> None:
        self._buffers, self._contexts = buffers, contexts
        self._latents = image_rows - 2
        self._attention = attention

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Rewrite each branch's image rows and attend over its whole buffer."""
        m, split = self._latents, self._latents * len(self._buffers)
        out = torch.empty_like(q)
        for index, (buffer, context) in enumerate(zip(self._buffers, self._contexts, strict=True)):
            latents = slice(index * m, (index + 1) * m)
            markers = slice(split + 2 * index, split + 2 * index + 2)
            keys, values = buffer[layer]
            for rows, stored in ((k, keys), (v, values)):
                stored[context : context + m] = rows[latents]
                stored[context + m :] = rows[markers]
            attended = self._attention(torch.cat((q[latents], q[markers])), keys, values, causal=False)
            out[latents], out[markers] = attended[:m], attended[m:]
        return out
