"""The pair of every transport that the contract is run over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.transport.pair import CPU, EPOCH, PAGE_BYTES, PAGES, Pair, open_transports


@pytest.fixture(params=["memory", "zeromq-tcp", "zeromq-ipc"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    server, reader = open_transports(request.param, tmp_path)
    pool = server.allocate(PAGES * PAGE_BYTES, CPU)
    pool.tensor.random_(0, 256, generator=torch.Generator().manual_seed(5))
    yield Pair(server, server.serve(pool, page_bytes=PAGE_BYTES, epoch=EPOCH), reader, pool)
    reader.close()
    server.close()
