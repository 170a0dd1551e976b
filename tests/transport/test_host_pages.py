"""Pages that a GPU pool mirrors: a release between check and read refuses the read and harms nothing else."""

import pytest
import torch

from transport.base import Region
from transport.errors import TransferRefusedError
from transport.host_pages import HostPages

PAGE_BYTES = 64


class MirroredPages(HostPages):
    """A CPU pool treated as if it were on a device: published pages are copied."""

    def __init__(self, pool: Region) -> None:
        super().__init__(pool, PAGE_BYTES)
        self._direct = None


def test_a_mirrored_page_keeps_its_bytes_when_the_pool_changes() -> None:
    pool = Region(torch.arange(4 * PAGE_BYTES, dtype=torch.int64).to(torch.uint8))
    expected = bytes(pool.tensor[PAGE_BYTES : 2 * PAGE_BYTES].tolist())
    pages = MirroredPages(pool)
    pages.add("h", [3, 1])
    pool.tensor.zero_()
    assert bytes(pages.view("h", 1)) == expected


def test_a_released_page_is_refused_and_others_stay() -> None:
    pages = MirroredPages(Region(torch.ones(4 * PAGE_BYTES, dtype=torch.uint8)))
    pages.add("gone", [0])
    pages.add("here", [0, 2])
    pages.drop("gone")
    with pytest.raises(TransferRefusedError):
        pages.view("gone", 0)
    with pytest.raises(TransferRefusedError):
        pages.view("here", 1)
    assert bytes(pages.view("here", 2)) == b"\x01" * PAGE_BYTES
