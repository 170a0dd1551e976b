"""The page pool under random use: no token of a live context is ever lost, no page is free and held at once."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from bagel.errors import OverloadedError
from services.thinker.pages import PageCopy, PagePool, Sequence

NUM_PAGES = 9


class Context:
    """A sequence of the pool beside what it should hold."""

    def __init__(self, sequence: Sequence, tokens: list[int], rope: int) -> None:
        self.sequence, self.tokens, self.rope = sequence, tokens, rope


class PoolMachine(RuleBasedStateMachine):
    """Empties, forks, appends and releases; writes token numbers into pages as a runner writes keys."""

    contexts = Bundle("contexts")

    def __init__(self) -> None:
        super().__init__()
        self.live: list[Context] = []
        self.next_token = 1

    @initialize(page_tokens=st.sampled_from([1, 3, 16]))
    def start(self, page_tokens: int) -> None:
        self.page_tokens = page_tokens
        self.pool = PagePool(NUM_PAGES, page_tokens)
        self.memory = [[0] * page_tokens for _ in range(NUM_PAGES)]

    @rule(target=contexts)
    def empty(self) -> Context:
        context = Context(self.pool.empty(), [], 0)
        self.live.append(context)
        return context

    @rule(target=contexts, parent=contexts)
    def fork(self, parent: Context) -> Context:
        context = Context(self.pool.fork(parent.sequence), list(parent.tokens), parent.rope)
        self.live.append(context)
        return context

    @rule(context=contexts, pages=st.integers(0, 4), rest=st.integers(0, 15), rope_advance=st.integers(0, 5))
    def append(self, context: Context, pages: int, rest: int, rope_advance: int) -> None:
        count = pages * self.page_tokens + rest % self.page_tokens
        before = self._snapshot(context)
        fits = self._pages_needed(context, count) <= self.pool.free_pages
        try:
            copy = self.pool.append(context.sequence, count, rope_advance=rope_advance)
        except OverloadedError:
            assert not fits
            assert self._snapshot(context) == before
            return
        assert fits
        if copy is not None:
            self.memory[copy.target] = list(self.memory[copy.source])
        self._write(context, count)
        context.rope += rope_advance

    @rule(context=consumes(contexts))
    def release(self, context: Context) -> None:
        self.pool.release(context.sequence)
        self.live.remove(context)

    @precondition(lambda self: self.live)
    @rule()
    def append_far_too_much(self) -> None:
        context = self.live[0]
        before = self._snapshot(context)
        with pytest.raises(OverloadedError):
            self.pool.append(context.sequence, (NUM_PAGES + 1) * self.page_tokens, rope_advance=1)
        assert self._snapshot(context) == before

    @invariant()
    def every_context_still_holds_its_tokens(self) -> None:
        for context in self.live:
            sequence = context.sequence
            held = [token for page in sequence.pages for token in self.memory[page]]
            assert held[: sequence.tokens] == context.tokens
            assert len(sequence.pages) == -(-len(context.tokens) // self.page_tokens)
            assert sequence.rope == context.rope

    @invariant()
    def every_page_is_free_or_held(self) -> None:
        if hasattr(self, "pool"):
            self.pool.check_integrity()
            held = {page for context in self.live for page in context.sequence.pages}
            assert self.pool.free_pages + len(held) == NUM_PAGES

    def teardown(self) -> None:
        for context in self.live:
            self.pool.release(context.sequence)
        assert self.pool.free_pages == NUM_PAGES

    def _pages_needed(self, context: Context, count: int) -> int:
        """Pages beyond those that hold the context now, one of them for a half-filled last page of several holders."""
        have = len(context.sequence.pages)
        new = -(-(len(context.tokens) + count) // self.page_tokens) - have
        half_filled = count > 0 and len(context.tokens) % self.page_tokens > 0
        holders = [other for other in self.live if have and context.sequence.pages[-1] in other.sequence.pages]
        return new + (half_filled and len(holders) > 1)

    def _write(self, context: Context, count: int) -> None:
        for place in range(len(context.tokens), len(context.tokens) + count):
            page = context.sequence.pages[place // self.page_tokens]
            self.memory[page][place % self.page_tokens] = self.next_token
            context.tokens.append(self.next_token)
            self.next_token += 1

    def _snapshot(self, context: Context) -> tuple[list[int], int, int, int]:
        sequence = context.sequence
        return list(sequence.pages), sequence.tokens, sequence.rope, self.pool.free_pages


PoolMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestPoolUnderRandomUse = PoolMachine.TestCase


def test_a_shared_tail_page_is_copied_before_it_is_written() -> None:
    pool = PagePool(4, 4)
    first = pool.empty()
    pool.append(first, 6, rope_advance=6)
    second = pool.fork(first)
    tail = first.pages[1]

    copy = pool.append(second, 1, rope_advance=1)
    assert copy == PageCopy(tail, second.pages[1])
    assert first.pages == [0, tail]
    assert second.pages[0] == first.pages[0]
    # The copy has one holder now, and so has the original.
    assert pool.append(second, 1, rope_advance=1) is None
    assert pool.append(first, 1, rope_advance=1) is None


def test_a_full_shared_page_is_never_copied() -> None:
    pool = PagePool(4, 4)
    first = pool.empty()
    pool.append(first, 4, rope_advance=1)
    second = pool.fork(first)

    assert pool.append(second, 1, rope_advance=1) is None
    assert second.pages == [first.pages[0], 1]
    assert pool.free_pages == 2


def test_appending_nothing_copies_nothing() -> None:
    pool = PagePool(2, 4)
    first = pool.empty()
    pool.append(first, 3, rope_advance=3)
    second = pool.fork(first)

    assert pool.append(second, 0, rope_advance=0) is None
    assert second.pages == first.pages


def test_a_released_context_cannot_be_used_again() -> None:
    pool = PagePool(2, 4)
    sequence = pool.empty()
    pool.append(sequence, 3, rope_advance=3)
    pool.release(sequence)

    for use in (pool.release, pool.fork, lambda gone: pool.append(gone, 1, rope_advance=1)):
        with pytest.raises(ValueError, match="released"):
            use(sequence)
    assert pool.free_pages == 2


def test_the_message_of_a_full_pool_counts_pages() -> None:
    pool = PagePool(2, 4)
    with pytest.raises(OverloadedError, match="3 KV pages are needed, 2 of 2 are free"):
        pool.append(pool.empty(), 9, rope_advance=9)


@pytest.mark.parametrize(("pages", "tokens"), [(0, 16), (4, 0)])
def test_a_pool_without_room_for_a_token_is_refused(pages: int, tokens: int) -> None:
    with pytest.raises(ValueError, match="at least one page"):
        PagePool(pages, tokens)
