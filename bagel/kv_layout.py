"""The shape of a KV page, and how many bytes that is. Pure: no tensors.

Page-major, all layers of a head contiguous: [page, kv head, layer, k/v, token, dim], so that a page is one piece on
the wire and a tensor-parallel reader takes whole heads.
"""

from dataclasses import dataclass

from bagel.config import LlmConfig
from bagel.errors import ConfigError

DTYPE_BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvLayout:
    """One pool's page layout."""

    num_layers: int
    num_kv_heads: int
    head_dim: int
    page_tokens: int
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in DTYPE_BYTES:
            raise ConfigError(f"KV dtype {self.dtype!r} is not known; take {' or '.join(DTYPE_BYTES)}")
        if self.page_tokens < 1:
            raise ConfigError(f"a KV page must hold at least one token, not {self.page_tokens}")

    @classmethod
    def of(cls, llm: LlmConfig, *, page_tokens: int, dtype: str) -> "KvLayout":
        """The layout of a checkpoint's KV cache."""
        return cls(
            num_layers=llm.num_layers,
            num_kv_heads=llm.num_kv_heads,
            head_dim=llm.head_dim,
            page_tokens=page_tokens,
            dtype=dtype,
        )

    @property
    def page_shape(self) -> tuple[int, int, int, int, int]:
        """[kv head, layer, k/v, token, dim]."""
        return (self.num_kv_heads, self.num_layers, 2, self.page_tokens, self.head_dim)

    @property
    def page_bytes(self) -> int:
        """Bytes of one page."""
        return self.page_tokens * self.token_bytes

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        return self.num_kv_heads * self.num_layers * 2 * self.head_dim * DTYPE_BYTES[self.dtype]

    def pages_for(self, tokens: int) -> int:
        """Pages that hold so many tokens."""
        return -(-tokens // self.page_tokens)


@dataclass(frozen=True, slots=True)
class KvMemory:
    """A layout, and how its pages lie in memory: bytes from neighbour to neighbour along each axis."""

    layout: KvLayout
    strides: tuple[int, int, int, int, int, int]  # page, kv head, layer, k/v, token, dim

    @classmethod
    def in_order(cls, layout: KvLayout) -> "KvMemory":
        """This project's own: page by page, all axes in their order."""
        strides, step = [], DTYPE_BYTES[layout.dtype]
        for size in reversed(layout.page_shape):
            strides.append(step)
            step *= size
        return cls(layout, (step, *reversed(strides)))  # type: ignore[arg-type]

    @property
    def has_whole_pages(self) -> bool:
        """Whether a page is one piece of memory, which alone can travel."""
        return self == KvMemory.in_order(self.layout)

    @property
    def page_extent(self) -> int:
        """Bytes from the first to the last of a page."""
        inner = zip(self.layout.page_shape, self.strides[1:], strict=True)
        return sum((size - 1) * stride for size, stride in inner) + DTYPE_BYTES[self.layout.dtype]


@dataclass(frozen=True, slots=True, order=True)
class PageRun:
    """Neighbouring pages: first page and how many."""

    start: int
    count: int


def page_runs(pages: list[int]) -> list[PageRun]:
    """Coalesce pages, in their order, into runs of neighbours."""
    runs: list[PageRun] = []
    for page in pages:
        if runs and runs[-1].start + runs[-1].count == page:
            runs[-1] = PageRun(runs[-1].start, runs[-1].count + 1)
        else:
            runs.append(PageRun(page, 1))
    return runs


def pages_of(runs: list[PageRun]) -> list[int]:
    """The pages that runs name, in order."""
    return [page for run in runs for page in range(run.start, run.start + run.count)]
