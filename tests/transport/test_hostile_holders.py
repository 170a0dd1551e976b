"""Answers that no honest holder gives: each ends the fetch with a typed error, none is taken for pages."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.transport.fake_holder import NOT_SOON_S, PAGES, answer_with, fake_holder, page_request
from transport.errors import TransferCorruptError, TransferRefusedError, TransportError
from transport.status import Status
from transport.zeromq import ZeroMqPlane
from transport.zeromq_wire import pack_refusal


@pytest.fixture
def reader() -> Iterator[ZeroMqPlane]:
    transport = ZeroMqPlane()
    yield transport
    transport.close()


NO = pack_refusal(Status.REFUSED)
ANSWERS = {
    "an unknown status": ([NO[:-1] + b"\x07", b"x"], TransferRefusedError),
    "a refusal that says OK": ([NO[:-1] + b"\x00", b"x"], TransferRefusedError),
    "a refusal of another protocol": ([b"HTTP", b"x"], TransferRefusedError),
    "a refusal without a reason": ([NO], TransferCorruptError),
    "the same page twice": ([PAGES[0]], TransferCorruptError),
    "a page too long": ([PAGES[0] + b"extra"], TransferCorruptError),
    "frames behind a page": ([PAGES[0], b"more"], TransferRefusedError),
}


@pytest.mark.parametrize(("frames", "error"), ANSWERS.values(), ids=ANSWERS)
def test_a_wrong_answer_ends_the_fetch_at_once(
    reader: ZeroMqPlane, frames: list[bytes], error: type[TransportError]
) -> None:
    started = time.monotonic()
    with fake_holder(answer_with(frames, frames)) as address, pytest.raises(error):
        reader.fetch(page_request(address), threading.Event())
    assert time.monotonic() - started < NOT_SOON_S / 2
