"""The pair of every plane that the contract is run over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transport.pair import KINDS, Pair, open_pair


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with open_pair(request.param, tmp_path) as opened:
        yield opened
