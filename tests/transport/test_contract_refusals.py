"""The transport contract's other half: what is refused or fails, and with which error, over every implementation."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.transport.pair import EPOCH, PAGE_BYTES, Pair
from transport.base import FetchRequest, PageCopy, Region
from transport.errors import (
    LeaseEndedError,
    StaleEpochError,
    TransferCancelledError,
    TransferCorruptError,
    TransferRefusedError,
    TransferTimeoutError,
)


def _wrong_token(pair: Pair, request: FetchRequest) -> FetchRequest:
    return replace(request, token=b"\0" * len(request.token))


def _closed_grant(pair: Pair, request: FetchRequest) -> FetchRequest:
    pair.holder.close_grant(request.token)
    return request


def _released_handle(pair: Pair, request: FetchRequest) -> FetchRequest:
    pair.holder.release("h")
    return request


def _page_of_another_handle(pair: Pair, request: FetchRequest) -> FetchRequest:
    generations = pair.holder.publish("other", [12])
    digests = pair.holder.digests([12], generations)
    return replace(request, copies=[PageCopy(12, 0, 1)], digests=digests, generations=generations)


def _page_never_published(pair: Pair, request: FetchRequest) -> FetchRequest:
    generations = [*request.generations[1:], 7]
    return replace(request, copies=[PageCopy(4, 0, 3)], digests=[*request.digests[1:], 0], generations=generations)


def _page_beyond_the_pool(pair: Pair, request: FetchRequest) -> FetchRequest:
    return replace(request, copies=[PageCopy(2**40, 0, 1)], digests=[0], generations=[7])


def _too_small_memory(pair: Pair, request: FetchRequest) -> FetchRequest:
    return _into(pair, request, len(request.digests) * PAGE_BYTES - 1)


def _too_few_digests(pair: Pair, request: FetchRequest) -> FetchRequest:
    return replace(request, digests=request.digests[:-1])


def _place_beyond_the_memory(pair: Pair, request: FetchRequest) -> FetchRequest:
    return replace(request, copies=[PageCopy(3, 2**40, 3)])


def _negative_place(pair: Pair, request: FetchRequest) -> FetchRequest:
    return replace(request, copies=[PageCopy(3, -1, 3)])


def _no_pages_in_a_copy(pair: Pair, request: FetchRequest) -> FetchRequest:
    return replace(request, copies=[*request.copies, PageCopy(3, 0, 0)])


def _too_many_digests(pair: Pair, request: FetchRequest) -> FetchRequest:
    return _into(pair, replace(request, digests=[*request.digests, 0]), 9 * PAGE_BYTES)


def _into(pair: Pair, request: FetchRequest, num_bytes: int) -> FetchRequest:
    into = Region(torch.zeros(num_bytes, dtype=torch.uint8))
    pair.reader.prepare(into)
    return replace(request, into=into)


@pytest.mark.parametrize(
    "spoil",
    [
        _released_handle, _page_never_published, _page_beyond_the_pool, _too_small_memory, _too_few_digests,
        _too_many_digests, _place_beyond_the_memory, _negative_place, _no_pages_in_a_copy,
    ],
)  # fmt: skip
def test_what_no_grant_covers_or_does_not_fit_is_refused_and_the_holder_lives_on(
    pair: Pair, spoil: Callable[[Pair, FetchRequest], FetchRequest]
) -> None:
    request = spoil(pair, pair.published([3, 4, 5]))
    with pytest.raises(TransferRefusedError) as refused:
        pair.fetch(request)
    assert not isinstance(refused.value, StaleEpochError)

    assert pair.fetch(pair.published([30, 31], handle_id="after")).pages == 2


@pytest.mark.parametrize("spoil", [_wrong_token, _closed_grant, _page_of_another_handle])
def test_a_secure_plane_reads_with_the_grant_s_own_token_alone(
    pair: Pair, spoil: Callable[[Pair, FetchRequest], FetchRequest]
) -> None:
    request = spoil(pair, pair.published([3, 4, 5]))
    if not pair.server.capabilities.secure:
        # Such a plane says so, and reads none the less what is published.
        assert pair.holder.endpoints[0].secure is False
        return
    with pytest.raises(TransferRefusedError) as refused:
        pair.fetch(request)
    assert isinstance(refused.value, LeaseEndedError) is (spoil is _closed_grant)


def test_a_handle_released_while_it_is_read_is_a_lease_that_ended(pair: Pair) -> None:
    request = pair.published([3, 4])
    pair.holder.release("h")
    with pytest.raises(LeaseEndedError):
        pair.fetch(request)


@pytest.mark.parametrize("epoch", [0, EPOCH - 1, EPOCH + 1])
def test_another_epoch_is_refused_as_stale(pair: Pair, epoch: int) -> None:
    with pytest.raises(StaleEpochError):
        pair.fetch(replace(pair.published([3, 4]), epoch=epoch))


def test_a_page_that_changed_after_it_was_published_is_corrupt(pair: Pair) -> None:
    request = pair.published([3, 4, 5])
    pair.page(4)[PAGE_BYTES - 1] ^= 1
    with pytest.raises(TransferCorruptError, match="page 1 "):
        pair.fetch(request)


def test_a_passed_deadline_is_a_timeout(pair: Pair) -> None:
    with pytest.raises(TransferTimeoutError):
        pair.fetch(replace(pair.published([3, 4]), deadline_s=time.monotonic() - 1.0))


def test_a_cancelled_fetch_stops(pair: Pair) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(TransferCancelledError):
        pair.reader.fetch(pair.published([3, 4]), cancelled)
