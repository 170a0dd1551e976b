"""The page pool: sealed, mapped read-only by others, and refused when it is none."""

import fcntl
import mmap
import os

import pytest
import torch

from bagel.errors import ConfigError
from tests.transport.pair import CPU
from transport.errors import TransferRefusedError
from transport.pool import Pool, PoolLayout, ReadOnlyPool

PAGES, PAGE_BYTES, EPOCH = 10, 3000, 7


@pytest.fixture
def pool() -> Pool:
    return Pool(num_pages=PAGES, page_bytes=PAGE_BYTES, epoch=EPOCH, device=CPU)


def test_another_mapping_sees_what_the_engine_writes(pool: Pool) -> None:
    other = ReadOnlyPool(os.dup(pool.fd))
    pool.region.tensor[5 * PAGE_BYTES :] = 9
    pool.generations[3] = 12

    assert other.layout == PoolLayout(EPOCH, PAGE_BYTES, PAGES)
    assert bool((other.pages[5 * PAGE_BYTES :] == 9).all())
    assert int(other.pages[: 5 * PAGE_BYTES].sum()) == 0
    assert other.generations.tolist() == [0, 0, 0, 12, 0, 0, 0, 0, 0, 0]


def test_nobody_resizes_the_memory_or_maps_it_for_writing(pool: Pool) -> None:
    for size in (0, pool.layout.num_bytes + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(pool.fd, size)
    with pytest.raises(PermissionError):
        mmap.mmap(pool.fd, pool.layout.num_bytes)
    assert fcntl.fcntl(pool.fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK


def test_the_memory_outlives_its_descriptor(pool: Pool) -> None:
    other = ReadOnlyPool(os.dup(pool.fd))
    pool.close()
    pool.close()
    pool.host.fill_(3)
    assert torch.equal(other.pages, pool.host)


@pytest.mark.parametrize("content", [b"", b"BKVP", b"x" * 4096, PoolLayout(1, 10, 2**40).pack()])
def test_a_descriptor_that_is_no_pool_is_refused_and_closed(content: bytes) -> None:
    fd = os.memfd_create("test")
    os.write(fd, content)
    with pytest.raises(TransferRefusedError):
        ReadOnlyPool(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_more_pages_than_there_is_memory_are_one_clear_message() -> None:
    with pytest.raises(ConfigError, match="--kv-pool-tokens"):
        Pool(num_pages=2**40, page_bytes=PAGE_BYTES, epoch=EPOCH, device=CPU)
