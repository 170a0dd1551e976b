"""Leases: who may follow one, what a follower hears, and that it fails when the lease ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bagel.contexts import Role
from bagel.errors import OverloadedError
from bagel.kv_layout import PageRun
from bagel.limits import GRANTS
from services.thinker.execution import SealedContext
from services.thinker.leases import (
    Announcement,
    Lease,
    LeaseBook,
    LeaseOverError,
    Seal,
    StaleHandleError,
    UnknownHandleError,
    WrongTokenError,
    unique_runs,
)

EPOCH = 77
Event = Announcement | Seal


def _announcement(start: int) -> Announcement:
    return Announcement((PageRun(start, 2),), (start, start + 1))


SEAL = Seal(contexts=(SealedContext((Role.GEN,), (0, 1), 20, 20),), size=(64, 96), unique_pages=2)


async def _next(events: AsyncIterator[Event]) -> Event:
    return await asyncio.wait_for(anext(events), timeout=5)


def _find(book: LeaseBook, lease: Lease, **other: object) -> Lease:
    """Find a lease with what its handle says, apart from `other`."""
    known = {"epoch": EPOCH, "attempt": lease.attempt, "token": lease.read_token, **other}
    return book.find(lease.handle_id, **known)


async def test_a_reader_with_the_whole_handle_finds_the_lease() -> None:
    book = LeaseBook(EPOCH)
    lease = book.open("r1", 2)

    assert _find(book, lease) is lease
    assert (lease.request_id, lease.attempt, len(book)) == ("r1", 2, 1)


async def test_handles_and_tokens_are_never_given_twice() -> None:
    book = LeaseBook(EPOCH)
    leases = [book.open("r1", 1) for _ in range(20)]

    assert len({lease.handle_id for lease in leases}) == 20
    assert len({lease.read_token for lease in leases}) == 20


@pytest.mark.parametrize("token", [b"", b"\0" * 16, b"short"])
async def test_a_wrong_token_opens_nothing(token: bytes) -> None:
    book = LeaseBook(EPOCH)
    lease = book.open("r1", 1)
    with pytest.raises(WrongTokenError, match=lease.handle_id):
        _find(book, lease, token=token)


async def test_the_token_of_another_lease_opens_nothing() -> None:
    book = LeaseBook(EPOCH)
    lease, other = book.open("r1", 1), book.open("r2", 1)
    with pytest.raises(WrongTokenError):
        _find(book, lease, token=other.read_token)


async def test_a_handle_of_an_earlier_life_is_stale() -> None:
    book = LeaseBook(EPOCH)
    with pytest.raises(StaleHandleError, match="epoch 76"):
        _find(book, book.open("r1", 1), epoch=EPOCH - 1)


async def test_a_handle_of_another_attempt_is_stale() -> None:
    book = LeaseBook(EPOCH)
    with pytest.raises(StaleHandleError, match="attempt 2, not 1"):
        _find(book, book.open("r1", 2), attempt=1)


async def test_an_unknown_or_ended_handle_is_not_found() -> None:
    book = LeaseBook(EPOCH)
    lease = book.open("r1", 1)
    with pytest.raises(UnknownHandleError):
        book.find("kv-0-0", epoch=EPOCH, attempt=1, token=lease.read_token)
    await book.end(lease)
    with pytest.raises(UnknownHandleError):
        _find(book, lease)
    assert len(book) == 0


async def test_reads_are_bounded() -> None:
    book = LeaseBook(EPOCH)
    lease = book.open("r1", 1)
    book.grants = GRANTS.most
    with pytest.raises(OverloadedError):
        _find(book, lease)
    book.grants -= 1
    assert _find(book, lease) is lease


async def test_a_follower_hears_what_came_before_it_and_what_comes_after() -> None:
    lease = LeaseBook(EPOCH).open("r1", 1)
    await lease.announce(_announcement(0))
    events = lease.follow()
    assert await _next(events) == _announcement(0)

    waiting = asyncio.ensure_future(_next(events))
    await lease.announce(_announcement(2))
    await lease.announce(SEAL)
    assert await waiting == _announcement(2)
    assert await _next(events) == SEAL


async def test_every_follower_hears_everything_in_order() -> None:
    lease = LeaseBook(EPOCH).open("r1", 1)
    early = lease.follow()
    first = asyncio.ensure_future(_next(early))
    for start in (0, 2, 4):
        await lease.announce(_announcement(start))
    late = lease.follow()

    expected = [_announcement(start) for start in (0, 2, 4)]
    assert [await first, await _next(early), await _next(early)] == expected
    assert [await _next(late) for _ in range(3)] == expected


async def test_the_end_of_a_lease_fails_those_who_wait_and_those_who_come() -> None:
    book = LeaseBook(EPOCH)
    lease = book.open("r1", 1)
    await lease.announce(_announcement(0))
    events = lease.follow()
    await _next(events)
    waiting = asyncio.ensure_future(_next(events))
    await asyncio.wait({waiting}, timeout=0)  # let it reach the condition

    assert not waiting.done()
    await book.end(lease)
    with pytest.raises(LeaseOverError, match=lease.handle_id):
        await waiting
    with pytest.raises(LeaseOverError):
        await _next(lease.follow())


async def test_a_follower_stays_after_the_seal_until_the_lease_ends() -> None:
    book = LeaseBook(EPOCH)
    lease = book.open("r1", 1)
    await lease.announce(SEAL)
    events = lease.follow()
    assert await _next(events) == SEAL
    waiting = asyncio.ensure_future(_next(events))
    await asyncio.wait({waiting}, timeout=0)

    assert not waiting.done()
    await book.end(lease)
    with pytest.raises(LeaseOverError):
        await waiting


async def test_ending_one_lease_leaves_the_others_alone() -> None:
    book = LeaseBook(EPOCH)
    ended, kept = book.open("r1", 1), book.open("r1", 2)
    await book.end(ended)
    await kept.announce(SEAL)

    assert await _next(_find(book, kept).follow()) == SEAL


def test_pages_of_several_contexts_are_named_once() -> None:
    contexts = [
        SealedContext((Role.GEN,), (5, 2, 9), 40, 40),
        SealedContext((Role.CFG_TEXT,), (5, 2), 30, 3),
        SealedContext((Role.CFG_IMG,), (), 0, 0),
    ]
    assert unique_runs(contexts) == [2, 5, 9]
