"""Answers that no honest holder gives: each ends the fetch with a typed error, none is taken for pages."""

import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from tests.transport.fake_holder import PAGES, Behaviour, fake_holder, page_request
from transport.errors import TransferCorruptError, TransferRefusedError, TransportError
from transport.status import Status
from transport.zeromq import ZeroMqPlane
from transport.zeromq_wire import Answer, Ask


@pytest.fixture
def reader() -> Iterator[ZeroMqPlane]:
    transport = ZeroMqPlane()
    yield transport
    transport.close()


def unknown_status(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
    head = Answer(ask.sequence, Status.OK).pack()[:8]
    socket.send_multipart([peer, head + b"\x07", b"x"])


def refusal_without_reason(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
    socket.send_multipart([peer, Answer(ask.sequence, Status.REFUSED).pack()])


def same_piece_twice(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
    socket.send_multipart([peer, Answer(0, Status.OK).pack(), PAGES[0]])


def page_too_long(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
    socket.send_multipart([peer, Answer(ask.sequence, Status.OK).pack(), PAGES[ask.start] + b"extra"])


def frames_too_many(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
    socket.send_multipart([peer, Answer(ask.sequence, Status.OK).pack(), PAGES[ask.start], b"more"])


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (unknown_status, TransferRefusedError),
        (refusal_without_reason, TransferRefusedError),
        (same_piece_twice, TransferCorruptError),
        (page_too_long, TransferCorruptError),
        (frames_too_many, TransferCorruptError),
    ],
)
def test_a_wrong_answer_ends_the_fetch_at_once(
    reader: ZeroMqPlane, behave: Behaviour, error: type[TransportError]
) -> None:
    started = time.monotonic()
    with fake_holder(behave) as address, pytest.raises(error):
        reader.fetch(page_request(address), threading.Event())
    assert time.monotonic() - started < 5
