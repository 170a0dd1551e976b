"""Mooncake's Transfer Engine when a side fails: a typed error in time, and nothing written once it has settled."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.polling import wait_until
from tests.transport.mooncake_holder import HolderProcess, Published, holder_process
from tests.transport.mooncake_reader import (
    BIG_PAGE_BYTES,
    BIG_PAGES,
    PAGE_BYTES,
    PAGES,
    PATIENCE_S,
    Midway,
    Reader,
)
from transport.base import FetchRequest, Region
from transport.errors import (
    LeaseEndedError,
    PeerLostError,
    TransferCancelledError,
    TransferTimeoutError,
    TransportError,
)

SETTLES_S = 15.0
TIMES = 8  # every page so often in a transfer that is to be met on its way


@pytest.fixture
def big() -> Iterator[HolderProcess]:
    with holder_process(pages=BIG_PAGES, page_bytes=BIG_PAGE_BYTES) as running:
        yield running


@pytest.fixture
def big_reader() -> Iterator[Reader]:
    opened = Reader(BIG_PAGES * BIG_PAGE_BYTES)
    yield opened
    opened.plane.close()


@pytest.mark.parametrize("announced", [True, False])
def test_pages_given_back_while_they_are_read_are_noticed(
    big: HolderProcess, big_reader: Reader, announced: bool
) -> None:
    what = big.publish(range(BIG_PAGES))
    if not announced:
        what.generations = []
    error = big_reader.failed(_long(big_reader, big, what), Midway(big_reader, big.release))
    assert isinstance(error, LeaseEndedError)


def test_a_dead_holder_is_noticed_at_once_and_a_new_one_at_another_port_works() -> None:
    reader = Reader(PAGES * PAGE_BYTES)
    with holder_process() as first:
        what = first.publish(range(8))
        reader.fetch(reader.request(first, what))
        first.kill()
        for _ in range(2):  # while its engine is known, and from anew
            started = time.monotonic()
            assert isinstance(reader.failed(reader.request(first, what)), PeerLostError)
            assert time.monotonic() - started < 2.0
        with holder_process(epoch=8) as second:
            assert second.address != first.address
            what = second.publish(range(8))
            reader.wipe()
            reader.fetch(reader.request(second, what))
            reader.check(second, what)
    reader.plane.close()


def test_a_holder_that_died_while_nobody_read_is_forgotten_when_the_next_one_is_met() -> None:
    reader = Reader(PAGES * PAGE_BYTES)
    with holder_process() as first:
        reader.fetch(reader.request(first, first.publish(range(8))))
        tasks = len(os.listdir("/proc/self/task"))
        first.kill()
    with holder_process(epoch=8) as second:
        reader.wipe()
        reader.fetch(reader.request(second, second.publish(range(8))))
        wait_until(lambda: len(os.listdir("/proc/self/task")) <= tasks, timeout_s=SETTLES_S)
    reader.plane.close()


def test_a_holder_killed_in_the_middle_is_lost_at_once(big: HolderProcess, big_reader: Reader) -> None:
    request = _long(big_reader, big, big.publish(range(BIG_PAGES)))
    started = time.monotonic()
    error = big_reader.failed(request, Midway(big_reader, big.kill))
    assert isinstance(error, PeerLostError)
    assert time.monotonic() - started < 2.0
    assert error.settled is not None
    assert error.settled.wait(SETTLES_S)


@pytest.mark.parametrize("when", ["before the first contact", "between transfers", "in the middle"])
def test_a_stopped_holder_is_given_up_within_5_s_and_writes_nothing_afterwards(
    big: HolderProcess, big_reader: Reader, when: str
) -> None:
    what = big.publish(range(BIG_PAGES))
    if when != "before the first contact":
        big_reader.fetch(big_reader.request(big, _first(what)))
    big_reader.wipe()
    request = _long(big_reader, big, what)
    if when == "in the middle":
        error = big_reader.failed(request, Midway(big_reader, big.pause))
    else:
        big.pause()
        error = big_reader.failed(request)
    assert time.monotonic() < request.deadline_s - PATIENCE_S + 5.0
    assert isinstance(error, PeerLostError)
    assert (error.settled is not None) is (when == "in the middle")
    _read_another_holder(big_reader)

    assert error.settled is None or error.settled.wait(SETTLES_S)
    big_reader.wipe()
    big.send(signal.SIGCONT)
    # It lives again, and what it had not sent would come now, beside this.
    wait_until(lambda: big_reader.plane.unreachable(big.address) is None, timeout_s=SETTLES_S)
    whole = Region(torch.zeros(BIG_PAGES * BIG_PAGE_BYTES, dtype=torch.uint8))
    big_reader.plane.prepare(whole)
    assert big_reader.fetch(replace(big_reader.request(big, what), into=whole)).pages == BIG_PAGES
    assert big_reader.untouched()


def test_a_cancelled_transfer_ends_at_once_and_settles(big: HolderProcess, big_reader: Reader) -> None:
    what = big.publish(range(BIG_PAGES))

    cancelled = Midway(big_reader, lambda: cancelled.set())
    error = big_reader.failed(big_reader.request(big, what), cancelled)
    assert isinstance(error, TransferCancelledError)
    _check_settled(big_reader, big, what, error)


def test_a_deadline_in_the_middle_is_kept(big: HolderProcess, big_reader: Reader) -> None:
    what = big.publish(range(BIG_PAGES))
    big_reader.fetch(big_reader.request(big, _first(what)))
    big_reader.wipe()
    error: TransportError | None = None
    while error is None or error.settled is None:  # on a busy machine it may pass before the first page comes
        started = time.monotonic()
        error = big_reader.failed(big_reader.request(big, what, within_s=0.02))
        assert isinstance(error, TransferTimeoutError)
        assert time.monotonic() - started < 2.0
    _check_settled(big_reader, big, what, error)


def test_closing_ends_transfers_and_leaves_no_thread_behind(big: HolderProcess) -> None:
    before, tasks = set(threading.enumerate()), len(os.listdir("/proc/self/task"))
    reader = Reader(BIG_PAGES * BIG_PAGE_BYTES)
    request = _long(reader, big, big.publish(range(BIG_PAGES)))
    closing = threading.Thread(target=reader.plane.close)
    error = reader.failed(request, Midway(reader, closing.start))
    assert isinstance(error, PeerLostError)
    assert error.settled is not None
    closing.join()
    assert error.settled.is_set()
    reader.plane.close()
    with pytest.raises(PeerLostError, match="is closed"):
        reader.fetch(request)
    assert set(threading.enumerate()) <= before
    wait_until(lambda: len(os.listdir("/proc/self/task")) <= tasks, timeout_s=SETTLES_S)


def _long(reader: Reader, holder: HolderProcess, what: Published) -> FetchRequest:
    """A request that takes longer than a thread waits for a core."""
    every = Published(what.pages * TIMES, what.generations * TIMES, what.digests * TIMES)
    return reader.request(holder, every, [*range(len(what.pages))] * TIMES)


def _first(what: Published, count: int = 1) -> Published:
    return Published(what.pages[:count], what.generations[:count], what.digests[:count])


def _read_another_holder(reader: Reader) -> None:
    aside = Region(torch.zeros(2 * PAGE_BYTES, dtype=torch.uint8))
    reader.plane.prepare(aside)
    with holder_process(pages=PAGES, page_bytes=PAGE_BYTES) as other:
        request = reader.request(other, other.publish([1, 2]))
        assert reader.fetch(replace(request, into=aside)).pages == 2


def _check_settled(reader: Reader, holder: HolderProcess, what: Published, error: TransportError) -> None:
    """Once settled, nothing of the failed transfer is written, and the next one is right."""
    assert error.settled is not None
    assert error.settled.wait(SETTLES_S)
    reader.wipe()
    few = _first(what, 4)
    reader.fetch(reader.request(holder, few, [9, 10, 11, 12]))
    reader.check(holder, few, [9, 10, 11, 12])
