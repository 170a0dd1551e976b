"""What a reader keeps of a holder's memory stays as it is, whatever else is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.transport.pair import open_pair
from transport.errors import StaleEpochError


@pytest.mark.parametrize("kind", ["shm", "shm-unnamed"])
def test_a_late_request_of_an_older_epoch_disturbs_nobody_who_reads_the_newer_one(kind: str, tmp_path: Path) -> None:
    with open_pair(kind, tmp_path) as pair:
        request = pair.published([1, 2])
        attached = pair.reader.attach(request)
        assert attached is not None
        with pytest.raises(StaleEpochError):
            pair.reader.attach(replace(request, epoch=request.epoch - 1))

        attached.check([1, 2], request.generations)
        assert pair.reader.attach(request) is attached
