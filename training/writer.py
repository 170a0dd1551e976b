"""Texts -> slots: token ids and block numbers of fixed length, as the corpus keeps them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bagel.tokens import Tokenizer
from training.blocks import Block

# Of 200 texts of a kind at most one needs more. Slots cost time: with these and pictures of the base size, nearly all
# samples have a multiple of eight rows without padding.
PROMPT_SLOTS, EDIT_SLOTS, ANSWER_SLOTS, TEXT_SLOTS, THINK_SLOTS = 38, 22, 42, 40, 118
MAX_DRAWS = 50

Piece = tuple[Block, str]
Slots = NDArray[np.int16]  # [2, length]: ids, then block numbers


class Writer:
    """Writes with the tokenizer of one folder."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer(folder)

    def slots(self, pieces: Sequence[Piece], length: int) -> Slots:
        """Raises ValueError when the pieces need more than `length` slots."""
        slots = self._slots(pieces, length)
        if slots is None:
            raise ValueError(f"more than {length} tokens: {pieces}")
        return slots

    def drawn(self, make: Callable[[], Sequence[Piece]], length: int) -> Slots:
        """The first of what `make` draws that fits into `length` slots: the grammar's rare long sentences do not."""
        for _ in range(MAX_DRAWS):
            slots = self._slots(make(), length)
            if slots is not None:
                return slots
        raise ValueError(f"{MAX_DRAWS} texts in a row need more than {length} tokens")

    def _slots(self, pieces: Sequence[Piece], length: int) -> Slots | None:
        slots = np.full((2, length), int(Block.PAD), np.int16)
        slots[0] = 0
        end = 0
        for block, text in pieces:
            ids = self._tokenizer.encode_block(text)
            start, end = end, end + len(ids)
            if end > length:
                return None
            slots[:, start:end] = ids, [int(block)] * len(ids)
        return slots
