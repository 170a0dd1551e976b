"""The frames of the ZeroMQ data plane: they come back as they went, and malformed ones are refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bagel.kv_layout import PageRun
from transport.errors import LeaseEndedError, StaleEpochError, TransferRefusedError
from transport.status import Status
from transport.zeromq_wire import Ask, pack_refusal, unpack_refusal

EPOCH, TOKEN = 3, b"t" * 16
RUNS = st.lists(st.builds(PageRun, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), max_size=64)


@given(epoch=st.integers(0, 2**64 - 1), token=st.binary(min_size=16, max_size=16), runs=RUNS.map(tuple))
def test_an_ask_comes_back(epoch: int, token: bytes, runs: tuple[PageRun, ...]) -> None:
    ask = Ask(epoch, token, runs)

    assert Ask.unpack(ask.pack()) == ask


@given(status=st.sampled_from([status for status in Status if status is not Status.OK]))
def test_a_refusal_comes_back(status: Status) -> None:
    assert unpack_refusal(pack_refusal(status)) is status


ASK, REFUSAL = Ask(EPOCH, TOKEN, (PageRun(0, 1), PageRun(5, 2))).pack(), pack_refusal(Status.REFUSED)
MALFORMED = [b"", b"BKV3", ASK[:-1], ASK + b"\0", b"BKV2" + ASK[4:], ASK[:-12], REFUSAL[:-1], b"\0" * 9]


@pytest.mark.parametrize("unpack", [Ask.unpack, unpack_refusal])
@pytest.mark.parametrize("frame", MALFORMED)
def test_a_malformed_frame_is_refused(unpack: Callable[[bytes], object], frame: bytes) -> None:
    with pytest.raises(TransferRefusedError):
        unpack(frame)


def test_a_refusal_is_the_exception_that_its_status_means() -> None:
    for error in (StaleEpochError("old"), LeaseEndedError("over"), TransferRefusedError("no")):
        assert type(Status.of(error).error("why")) is type(error)
