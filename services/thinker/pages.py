"""KV pages and who holds them. Pure: no tensors, no clock.

A `Sequence` is a context under construction: the pages of its tokens, in order. Sequences may share pages; a page
that is shared is never written, so appending to a sequence whose last, half-filled page is shared moves that page's
content to a page of its own first (copy on write).
"""

from dataclasses import dataclass

from bagel.errors import OverloadedError


class Sequence:
    """One context: its pages, how many tokens they hold, and the next rotary position. Made by a PagePool only."""

    __slots__ = ("pages", "released", "rope", "tokens")

    def __init__(self, pages: list[int], tokens: int, rope: int) -> None:
        self.pages = pages
        self.tokens = tokens
        self.rope = rope
        self.released = False


@dataclass(frozen=True, slots=True)
class PageCopy:
    """A page whose content must be copied before the sequence is written."""

    source: int
    target: int


class PagePool:
    """All pages of one process with their reference counts. Not thread-safe: one owner at a time."""

    def __init__(self, num_pages: int, page_tokens: int) -> None:
        if num_pages < 1 or page_tokens < 1:
            raise ValueError("a pool needs at least one page of at least one token")
        self.num_pages = num_pages
        self.page_tokens = page_tokens
        self._free = list(range(num_pages - 1, -1, -1))  # the lowest page is taken first
        self._references = [0] * num_pages

    @property
    def free_pages(self) -> int:
        """Pages that nobody holds."""
        return len(self._free)

    def empty(self) -> Sequence:
        """A context without tokens; legal, and the unconditional context of text to image."""
        return Sequence([], 0, 0)

    def fork(self, sequence: Sequence) -> Sequence:
        """A second holder of the same tokens. No page is copied yet."""
        self._require_live(sequence)
        for page in sequence.pages:
            self._references[page] += 1
        return Sequence(list(sequence.pages), sequence.tokens, sequence.rope)

    def append(self, sequence: Sequence, tokens: int, *, rope_advance: int) -> PageCopy | None:
        """Make room for `tokens` more tokens and count them in; the caller writes them.

        Returns the page to copy first, if the last one was shared. Raises OverloadedError, changing nothing, when the
        pool has too few pages.
        """
        self._require_live(sequence)
        shared_tail = (
            tokens > 0 and sequence.tokens % self.page_tokens != 0 and self._references[sequence.pages[-1]] > 1
        )
        wanted = -(-(sequence.tokens + tokens) // self.page_tokens) - len(sequence.pages) + shared_tail
        if wanted > len(self._free):
            raise OverloadedError(f"{wanted} KV pages are needed, {len(self._free)} of {self.num_pages} are free")
        copy = None
        if shared_tail:
            old = sequence.pages.pop()
            self._references[old] -= 1
            sequence.pages.append(self._take())
            copy = PageCopy(old, sequence.pages[-1])
            wanted -= 1
        sequence.pages.extend(self._take() for _ in range(wanted))
        sequence.tokens += tokens
        sequence.rope += rope_advance
        return copy

    def release(self, sequence: Sequence) -> None:
        """Let go of a sequence's pages; those that nobody else holds become free. Once a sequence."""
        self._require_live(sequence)
        sequence.released = True
        for page in sequence.pages:
            self._references[page] -= 1
            if self._references[page] == 0:
                self._free.append(page)

    def check_integrity(self) -> None:
        """Raise AssertionError unless every page is free or held, never both."""
        free = set(self._free)
        assert len(free) == len(self._free), "a page is free twice"
        for page, count in enumerate(self._references):
            assert count >= 0, f"page {page} has {count} holders"
            assert (count == 0) == (page in free), f"page {page} with {count} holders is on the wrong side"

    def _take(self) -> int:
        page = self._free.pop()
        self._references[page] = 1
        return page

    def _require_live(self, sequence: Sequence) -> None:
        if sequence.released:
            raise ValueError("this sequence was released")
