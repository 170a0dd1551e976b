"""The frames of the ZeroMQ data plane: they come back as they went, and malformed ones are refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import StaleEpochError, TransferRefusedError
from transport.zeromq_wire import Answer, Ask, Status

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


@given(sequence=st.integers(0, 2**32 - 1), status=st.sampled_from(list(Status)), count=st.integers(0, 2**32 - 1))
def test_an_answer_comes_back(sequence: int, status: Status, count: int) -> None:
    assert Answer.unpack(Answer(sequence, status, count).pack()) == Answer(sequence, status, count)


GOOD_ASK, GOOD_ANSWER = Ask(0, EPOCH, TOKEN, 0, 1).pack(), Answer(0, Status.OK, 1).pack()


@pytest.mark.parametrize("unpack", [Ask.unpack, Answer.unpack])
@pytest.mark.parametrize(
    "frame", [b"", b"BKV1", GOOD_ASK[:-1], GOOD_ASK + b"\0", b"BKV2" + GOOD_ASK[4:], GOOD_ANSWER[:-1], b"\0" * 13]
)
def test_a_malformed_frame_is_refused(unpack: Callable[[bytes], object], frame: bytes) -> None:
    with pytest.raises(TransferRefusedError):
        unpack(frame)


def test_a_refusal_is_the_exception_that_its_status_means() -> None:
    assert type(Answer(0, Status.STALE_EPOCH, 1).refusal("old")) is StaleEpochError
    assert type(Answer(0, Status.REFUSED, 1).refusal("no")) is TransferRefusedError
