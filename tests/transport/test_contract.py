"""The transport contract, run over every implementation: what arrives, where, and for whom."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.kv_layout import PageRun, pages_of
from tests.transport.pair import PAGE_BYTES, PAGES, Pair
from transport.base import PageCopy, Region, page_copies
from transport.errors import LeaseEndedError, PeerLostError


def test_an_endpoint_says_how_and_where_pages_are_fetched(pair: Pair) -> None:
    endpoint = pair.holder.endpoints[0]
    assert endpoint.transport == pair.server.capabilities.name
    assert endpoint.secure is pair.server.capabilities.secure
    assert not endpoint.address.endswith(":0")
    assert pair.reader.unreachable(endpoint.address) is None


def test_random_runs_of_pages_land_in_order_and_byte_for_byte(pair: Pair) -> None:
    everything = pair.published(range(PAGES))

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, PAGES - 1), st.integers(1, 12)), max_size=5))
    def check(asked: list[tuple[int, int]]) -> None:
        runs = [PageRun(start, min(count, PAGES - start)) for start, count in asked]
        pages = pages_of(runs)
        request = pair.request(runs, [everything.generations[page] for page in pages], everything.token)
        report = pair.fetch(request)
        assert (report.pages, report.num_bytes) == (len(pages), len(pages) * PAGE_BYTES)
        assert not pages or pair.landed(request)

    check()


def test_pages_that_contexts_share_are_fetched_once_each(pair: Pair) -> None:
    contexts = [[3, 7, 8, 20], [3, 7], [3, 30]]
    request = pair.published(sorted({page for context in contexts for page in context}))
    report = pair.fetch(request)
    place = {copy.page + offset: copy.place + offset for copy in request.copies for offset in range(copy.count)}
    landed = request.into.tensor.view(-1, PAGE_BYTES)

    assert (report.pages, report.num_bytes) == (5, 5 * PAGE_BYTES)
    for context in contexts:
        assert all(torch.equal(landed[place[page]], pair.page(page)) for page in context)


def test_what_lies_behind_the_pages_asked_for_stays_untouched(pair: Pair) -> None:
    request = pair.published([4, 5])
    into = Region(torch.full((4 * PAGE_BYTES,), 7, dtype=torch.uint8))
    pair.reader.prepare(into)
    pair.fetch(replace(request, into=into))

    assert torch.equal(into.tensor[: 2 * PAGE_BYTES], torch.cat([pair.page(4), pair.page(5)]))
    assert bool((into.tensor[2 * PAGE_BYTES :] == 7).all())


def test_pages_land_on_the_places_asked_for(pair: Pair) -> None:
    request = pair.published([4, 5, 6, 9])
    into = Region(torch.zeros(8 * PAGE_BYTES, dtype=torch.uint8))
    pair.reader.prepare(into)
    request = replace(request, copies=page_copies([4, 5, 6, 9], [6, 7, 0, 2]), into=into)

    assert request.copies == [PageCopy(4, 6, 2), PageCopy(6, 0, 1), PageCopy(9, 2, 1)]
    assert pair.fetch(request).pages == 4
    assert pair.landed(request)


def test_two_readers_of_one_handle_at_once_both_get_it(pair: Pair) -> None:
    first = pair.published(range(30))
    second = pair.request([PageRun(0, 30)], first.generations, pair.holder.open_grant("h"))
    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(pair.fetch, [first, second]))

    assert [report.pages for report in reports] == [30, 30]
    assert pair.landed(first)
    assert pair.landed(second)


def test_pages_published_later_are_covered_by_an_open_grant(pair: Pair) -> None:
    token = pair.holder.open_grant("h")
    generations = [*pair.holder.publish("h", [1, 2]), *pair.holder.publish("h", [9])]
    request = pair.request([PageRun(1, 2), PageRun(9, 1)], generations, token)

    assert pair.fetch(request).pages == 3
    assert pair.landed(request)


def test_fetching_no_page_is_fine(pair: Pair) -> None:
    report = pair.fetch(pair.request([], [], pair.holder.open_grant("h")))

    assert (report.pages, report.num_bytes) == (0, 0)


def test_closing_one_grant_leaves_the_other_open(pair: Pair) -> None:
    first = pair.published([1, 2])
    second = pair.request([PageRun(1, 2)], first.generations, pair.holder.open_grant("h"))
    pair.holder.close_grant(first.token)
    if pair.server.capabilities.secure:
        with pytest.raises(LeaseEndedError):
            pair.fetch(first)

    assert pair.fetch(second).pages == 2


def test_a_page_of_two_handles_stays_until_both_are_released(pair: Pair) -> None:
    first, second = pair.published([3, 4]), pair.published([4, 5], handle_id="other")
    assert first.generations[1] == second.generations[0]
    pair.holder.release("h")

    assert pair.fetch(second).pages == 2
    assert pair.landed(second)


def test_a_grant_ends_by_itself_unless_it_is_renewed(pair: Pair) -> None:
    request = pair.published([3])
    now = time.monotonic()
    short, renewed = pair.holder.open_grant("h", until_s=now), pair.holder.open_grant("h", until_s=now + 60)
    pair.holder.renew(renewed, until_s=now + 120)

    assert pair.fetch(replace(request, token=renewed)).pages == 1
    if pair.server.capabilities.secure:
        with pytest.raises(LeaseEndedError):
            pair.fetch(replace(request, token=short))
    with pytest.raises(LeaseEndedError):
        pair.holder.renew(short, until_s=time.monotonic() + 60)


def test_a_released_page_may_change_and_be_published_again(pair: Pair) -> None:
    before = pair.published([3])
    pair.holder.release("h")
    pair.page(3).fill_(1)
    after = pair.published([3], handle_id="h2")

    assert before.digests != after.digests
    assert before.generations != after.generations
    assert pair.fetch(after).pages == 1
    assert pair.landed(after)


def test_ending_what_is_not_there_is_fine(pair: Pair) -> None:
    pair.holder.close_grant(b"unknown")
    pair.holder.release("unknown")


def test_a_transport_that_was_closed_serves_no_more_and_may_be_closed_again(pair: Pair) -> None:
    request = pair.published([1, 2])
    pair.holder.close()
    pair.server.close()
    with pytest.raises(PeerLostError):
        pair.fetch(request)
