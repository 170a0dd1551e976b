"""KV pages of other systems: the same pages whatever the memory looks like, by strides alone."""

import pytest
import torch
from torch import Tensor

from bagel import wire
from bagel.kv_layout import KvLayout, KvMemory
from bagel.model.kv import pages_on, pool_view

LAYOUT = KvLayout(num_layers=3, num_kv_heads=2, head_dim=4, page_tokens=5, dtype="bfloat16")
PAGES = 7
# Axes of the whole memory, outermost first: p page, h kv head, l layer, c key or value, t token, d dim.
FOREIGN = {"one tensor a layer, keys and values apart": "lcpthd", "one tensor a layer, by page": "lpcthd",
           "heads outside tokens": "lcphtd", "ours": "phlctd"}  # fmt: skip


def sizes(axes: str) -> list[int]:
    every = dict(zip("phlctd", (PAGES, *LAYOUT.page_shape), strict=True))
    return [every[axis] for axis in axes]


def described(axes: str) -> KvMemory:
    """The strides that a holder with such a memory would announce."""
    memory = torch.empty(sizes(axes), dtype=torch.bfloat16)
    strides = dict(zip(axes, (2 * stride for stride in memory.stride()), strict=True))
    return KvMemory(LAYOUT, tuple(strides[axis] for axis in "phlctd"))  # type: ignore[arg-type]


def pages() -> Tensor:
    """Pages [P, K, L, 2, T, d], all different."""
    values = torch.arange(PAGES * LAYOUT.page_bytes // 2).to(torch.int16)
    return values.view(torch.bfloat16).view(PAGES, *LAYOUT.page_shape)


@pytest.mark.parametrize("axes", FOREIGN.values(), ids=FOREIGN.keys())
def test_pages_read_the_same_from_every_memory(axes: str) -> None:
    expected = pages()
    memory = expected.permute(["phlctd".index(axis) for axis in axes]).contiguous()
    kv = wire.memory_from_proto(wire.memory_to_proto(described(axes)))

    view = pool_view(memory.flatten().view(torch.uint8), kv)
    assert view.shape == expected.shape
    assert torch.equal(view.view(torch.int16), expected.view(torch.int16))
    assert kv.has_whole_pages is (axes == "phlctd")


def test_memory_that_holds_no_page_is_refused() -> None:
    with pytest.raises(ValueError, match="no page"):
        pool_view(torch.zeros(LAYOUT.page_bytes - 2, dtype=torch.uint8), KvMemory.in_order(LAYOUT))


@pytest.mark.parametrize("wanted", [[0, 1, 2, 5, 6], [4], [6, 2, 3, 0], list(range(PAGES))])
@pytest.mark.parametrize("axes", FOREIGN.values(), ids=FOREIGN.keys())
def test_pages_that_cross_to_a_device_are_the_wanted_ones_in_order(axes: str, wanted: list[int]) -> None:
    memory = pages().permute(["phlctd".index(axis) for axis in axes]).contiguous()
    pool = pool_view(memory.flatten().view(torch.uint8), described(axes))
    crossed = pages_on(torch.device("cpu"), pool, wanted)
    assert torch.equal(crossed.view(torch.int16), pages()[wanted].view(torch.int16))
