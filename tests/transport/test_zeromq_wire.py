"""ZeroMQ's own dangers: garbage, holders that answer wrongly, slowly or never, or die."""

import re
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import zmq

from bagel.errors import ConfigError
from bagel.kv_layout import PageRun
from tests.transport.fake_holder import (
    CPU,
    DIGESTS,
    EPOCH,
    PAGE_BYTES,
    PAGES,
    answer_with,
    fake_holder,
    page_request,
)
from transport.errors import (
    PeerLostError,
    TransferCancelledError,
    TransferCorruptError,
    TransferTimeoutError,
)
from transport.holder import Holder
from transport.pool import Pool
from transport.status import Status
from transport.zeromq import ZeroMqPlane
from transport.zeromq_wire import Ask, unpack_refusal


@pytest.fixture
def reader() -> Iterator[ZeroMqPlane]:
    transport = ZeroMqPlane()
    yield transport
    transport.close()


def _serving() -> tuple[ZeroMqPlane, Holder]:
    """A real holder of all pages, and its transport."""
    transport = ZeroMqPlane()
    pool = _pool(len(PAGES), EPOCH)
    pool.host.copy_(torch.frombuffer(bytearray(b"".join(PAGES)), dtype=torch.uint8))
    return transport, Holder(pool, [transport])


def _pool(num_pages: int, epoch: int) -> Pool:
    return Pool(num_pages=num_pages, page_bytes=PAGE_BYTES, epoch=epoch, device=CPU)


@pytest.fixture
def holder() -> Iterator[Holder]:
    transport, holder = _serving()
    yield holder
    transport.close()


def test_a_fake_holder_that_answers_well_is_believed(reader: ZeroMqPlane) -> None:
    def behave(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
        answer_with(*([PAGES[run.start]] for run in ask.runs))(socket, peer, ask)

    with fake_holder(behave) as address:
        request = page_request(address)
        assert reader.fetch(request, threading.Event()).pages == 2
    assert bytes(request.into.tensor.numpy()) == PAGES[0] + PAGES[2]


@pytest.mark.parametrize(
    "frame",
    [PAGES[0][:-1], b"", PAGES[1], b"\xff" * PAGE_BYTES],
    ids=["shorter", "empty", "another page", "damaged"],
)
def test_an_answer_with_other_bytes_than_announced_is_corrupt(reader: ZeroMqPlane, frame: bytes) -> None:
    with fake_holder(answer_with([frame])) as address, pytest.raises(TransferCorruptError):
        reader.fetch(page_request(address), threading.Event())


def test_a_holder_that_never_answers_is_a_timeout(reader: ZeroMqPlane) -> None:
    with fake_holder(lambda socket, peer, ask: None) as address, pytest.raises(TransferTimeoutError):
        reader.fetch(page_request(address, within_s=0.3), threading.Event())


def test_a_fetch_that_waits_stops_soon_after_it_is_cancelled(reader: ZeroMqPlane) -> None:
    cancelled = threading.Event()
    with fake_holder(lambda socket, peer, ask: cancelled.set()) as address:
        started = time.monotonic()
        with pytest.raises(TransferCancelledError):
            reader.fetch(page_request(address), cancelled)
    assert time.monotonic() - started < 3.0


def test_a_holder_that_dies_while_asked_is_lost_long_before_the_deadline(reader: ZeroMqPlane) -> None:
    started = time.monotonic()
    with (
        fake_holder(lambda socket, peer, ask: socket.close(linger=0)) as address,
        pytest.raises(PeerLostError, match=re.escape(address)),
    ):
        reader.fetch(page_request(address), threading.Event())
    assert time.monotonic() - started < 3.0


def test_a_holder_that_was_closed_is_lost_within_seconds(reader: ZeroMqPlane) -> None:
    transport, holder = _serving()
    address = holder.endpoints[0].address
    holder.publish("h", [0, 2])
    token = holder.open_grant("h")
    assert reader.fetch(page_request(address, token=token), threading.Event()).pages == 2
    transport.close()

    started = time.monotonic()
    with pytest.raises(PeerLostError, match=re.escape(address)):
        reader.fetch(page_request(address, token=token), threading.Event())
    assert time.monotonic() - started < 3.0


def test_garbage_does_not_stop_a_holder(holder: Holder, reader: ZeroMqPlane) -> None:
    address = holder.endpoints[0].address
    digests = holder.digests([0, 2], holder.publish("h", [0, 2]))
    token = holder.open_grant("h")
    one = (PageRun(0, 1),)
    good = Ask(EPOCH, token, one).pack()
    bad = ((), one * 65, (PageRun(0, 0),), (PageRun(2**64 - 1, 2**32 - 1),), (PageRun(0, 1 << 17),))
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.connect(address)
        for frames in (
            [b""], [b"hello"], [b"\xff" * 100_000], [good[:-1]], [good, b""], [b"", good], [b""] * 20,
            [struct.pack("<4sQ16sI", b"BKV3", EPOCH, token, 2**32 - 1)],
            *([Ask(EPOCH, token, runs).pack()] for runs in bad), [Ask(EPOCH, b"w" * 16, one).pack()],
        ):  # fmt: skip
            raw.send_multipart(frames)
        raw.send(good)
        # Asks are answered in order, so this is reached once all of the above was.
        while len(answer := raw.recv_multipart()) == 2:
            assert unpack_refusal(answer[0]) is Status.REFUSED
        assert answer == [PAGES[0]]
        raw.close(linger=0)

    assert digests == [DIGESTS[0], DIGESTS[2]]
    assert reader.fetch(page_request(address, token=token), threading.Event()).pages == 2


def test_an_address_in_use_is_refused_by_name(holder: Holder, tmp_path: Path) -> None:
    address = holder.endpoints[0].address
    for taken in (address, f"ipc://{tmp_path}/no/such/folder/kv"):
        second = ZeroMqPlane(taken)
        with pytest.raises(ConfigError, match="choose another address") as refused:
            Holder(_pool(1, 1), [second])
        second.close()
        assert taken in str(refused.value)


@pytest.mark.parametrize(("host", "advertised"), [("kv.example", "tcp://kv.example:"), ("fd00::1", "tcp://[fd00::1]:")])
def test_the_advertised_host_stands_in_the_endpoint(host: str, advertised: str) -> None:
    transport = ZeroMqPlane(advertise_host=host)
    try:
        endpoint = Holder(_pool(1, 1), [transport]).endpoints[0]
        assert endpoint.address.startswith(advertised)
        assert int(endpoint.address.removeprefix(advertised)) > 0
    finally:
        transport.close()
