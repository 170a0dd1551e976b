"""The frames of the ZeroMQ data plane: they come back as they went, and malformed ones are refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import LeaseEndedError, StaleEpochError, TransferRefusedError
from transport.status import Status
from transport.zeromq_wire import Answer, Ask

EPOCH, TOKEN = 3, b"t" * 16


@given(
    sequence=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 2**64 - 1),
    token=st.binary(min_size=16, max_size=16),
    start=st.integers(0, 2**64 - 1),
    count=st.integers(0, 2**32 - 1),
)
def test_an_ask_comes_back(sequence: int, epoch: int, token: bytes, start: int, count: int) -> None:
    ask = Ask(sequence, epoch, token, start, count)

    assert Ask.unpack(ask.pack()) == ask


@given(sequence=st.integers(0, 2**32 - 1), status=st.sampled_from(list(Status)))
def test_an_answer_comes_back(sequence: int, status: Status) -> None:
    assert Answer.unpack(Answer(sequence, status).pack()) == Answer(sequence, status)


GOOD_ASK, GOOD_ANSWER = Ask(0, EPOCH, TOKEN, 0, 1).pack(), Answer(0, Status.OK).pack()


@pytest.mark.parametrize("unpack", [Ask.unpack, Answer.unpack])
@pytest.mark.parametrize(
    "frame", [b"", b"BKV2", GOOD_ASK[:-1], GOOD_ASK + b"\0", b"BKV1" + GOOD_ASK[4:], GOOD_ANSWER[:-1], b"\0" * 9]
)
def test_a_malformed_frame_is_refused(unpack: Callable[[bytes], object], frame: bytes) -> None:
    with pytest.raises(TransferRefusedError):
        unpack(frame)


def test_a_refusal_is_the_exception_that_its_status_means() -> None:
    for error in (StaleEpochError("old"), LeaseEndedError("over"), TransferRefusedError("no")):
        assert type(Status.of(error).error("why")) is type(error)
