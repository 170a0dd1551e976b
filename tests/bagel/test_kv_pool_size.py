"""How much KV memory a stage takes, from its flags and the device."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bagel.config import LlmConfig
from bagel.errors import ConfigError
from bagel.kv_layout import KvLayout
from bagel.model.memory import GIB, RESERVE_BYTES, context_tokens, pages_within, pool_pages
from bagel.model.opening import open_model
from bagel.stage_flags import StageConfig

LAYOUT = KvLayout.of(LlmConfig(), page_tokens=16, dtype="bfloat16")
H200_BYTES = 139 * GIB


def pages(share: float, *, held_bytes: int = 28 * GIB, free_bytes: int = 110 * GIB) -> int:
    return pages_within(
        total_bytes=H200_BYTES,
        free_bytes=free_bytes,
        held_bytes=held_bytes,
        share=share,
        reserve_bytes=RESERVE_BYTES,
        page_bytes=LAYOUT.page_bytes,
    )


def test_kv_memory_is_what_weights_and_reserve_leave_of_the_share() -> None:
    left = int(0.45 * H200_BYTES) - 28 * GIB - RESERVE_BYTES
    assert pages(0.45) == left // LAYOUT.page_bytes
    assert pages(0.45, held_bytes=15 * GIB) - pages(0.45) == pytest.approx(13 * GIB / LAYOUT.page_bytes, abs=1)


def test_what_others_hold_on_the_device_cannot_be_taken() -> None:
    assert pages(0.9, free_bytes=10 * GIB) == (10 * GIB - RESERVE_BYTES) // LAYOUT.page_bytes


@pytest.mark.parametrize(("share", "free_bytes"), [(0.2, 110 * GIB), (0.24, 110 * GIB), (0.9, RESERVE_BYTES)])
def test_a_share_that_leaves_nothing_is_refused_with_what_takes_it(share: float, free_bytes: int) -> None:
    with pytest.raises(
        ConfigError, match=r"--gpu-memory-utilization 0\.\d+: nothing is left .* weights take 28\.0 GiB"
    ):
        pages(share, free_bytes=free_bytes)


@given(
    total=st.integers(1, 200 * GIB), part_free=st.floats(0, 1), part_held=st.floats(0, 1), share=st.floats(0.01, 1.0),
    reserve=st.integers(0, 10 * GIB), page=st.integers(1, 1 << 22),
)  # fmt: skip
def test_kv_memory_never_exceeds_the_share_nor_what_is_free(
    total: int, part_free: float, part_held: float, share: float, reserve: int, page: int
) -> None:
    free, held = int(total * part_free), int(total * part_held)
    try:
        found = pages_within(
            total_bytes=total, free_bytes=free, held_bytes=held, share=share, reserve_bytes=reserve, page_bytes=page
        )
    except ConfigError:
        assert min(int(share * total) - held, free) - reserve < page
        return
    assert found >= 1
    assert held + reserve + found * page <= share * total
    assert reserve + found * page <= free


def test_on_a_cpu_the_share_is_ignored_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = torch.device("cpu")
    flags = StageConfig(gpu_memory_utilization=0.5, kv_pool_tokens=1024)
    assert pool_pages(flags, LAYOUT, cpu) == 64 == pool_pages(StageConfig(kv_pool_tokens=1024), LAYOUT, cpu)
    said = capsys.readouterr()
    assert (said.out + said.err).count("gpu_memory_utilization_ignored") == 1


@pytest.mark.parametrize(("most", "pool", "expected"), [(None, 2048, 2048), (512, 2048, 512), (4096, 2048, 2048)])
def test_a_context_has_as_many_tokens_as_the_pool_or_as_it_was_told(most: int | None, pool: int, expected: int) -> None:
    assert context_tokens(StageConfig(max_model_len=most), pool_tokens=pool) == expected


def test_a_context_longer_than_the_models_positions_is_refused_before_weights_are_loaded() -> None:
    flags = StageConfig(model="tests/golden/checkpoint", device="cpu", max_model_len=32768)
    assert open_model(flags).config.llm.max_positions == 32768
    with pytest.raises(ConfigError, match="--max-model-len 32769 is more than the model's 32768 positions"):
        open_model(replace(flags, max_model_len=32769))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("max_num_seqs", 0), ("max_num_batched_tokens", 0), ("max_model_len", 0), ("gpu_memory_utilization", 0.0),
        ("gpu_memory_utilization", 1.1), ("gpu_memory_utilization", float("nan")), ("tasks", "img2sound"),
    ],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused_by_its_flag(flag: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"--{flag.replace('_', '-')}"):
        StageConfig(**{flag: value})  # type: ignore[arg-type]
