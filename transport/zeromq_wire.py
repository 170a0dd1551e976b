"""The messages of the ZeroMQ data plane: fixed little-endian headers, pages as frames of their own. No pickle.

Ask:    magic, sequence, epoch, token, first page, number of pages
Answer: magic, sequence, status, number of pages; then one frame a page, or one frame of text that says why not
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from transport.errors import StaleEpochError, TransferRefusedError
from transport.publications import TOKEN_BYTES

MAGIC = b"BKV1"
_ASK = struct.Struct(f"<4sIQ{TOKEN_BYTES}sQI")
_ANSWER = struct.Struct("<4sIBI")


class Status(IntEnum):
    """Outcome of one ask."""

    OK = 0
    REFUSED = 1
    STALE_EPOCH = 2


@dataclass(frozen=True, slots=True)
class Ask:
    """Pages wanted."""

    sequence: int
    epoch: int
    token: bytes
    start: int
    count: int

    def pack(self) -> bytes:
        """The frame."""
        return _ASK.pack(MAGIC, self.sequence, self.epoch, self.token, self.start, self.count)

    @classmethod
    def unpack(cls, frame: bytes) -> "Ask":
        """Parse a frame. Raises TransferRefusedError."""
        if len(frame) != _ASK.size or frame[:4] != MAGIC:
            raise TransferRefusedError("not a request for pages")
        _, sequence, epoch, token, start, count = _ASK.unpack(frame)
        return cls(sequence, epoch, token, start, count)


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows: `count` page frames if OK, else a frame of text."""

    sequence: int
    status: Status
    count: int

    def pack(self) -> bytes:
        """The frame."""
        return _ANSWER.pack(MAGIC, self.sequence, self.status, self.count)

    @classmethod
    def unpack(cls, frame: bytes) -> "Answer":
        """Parse a frame. Raises TransferRefusedError."""
        if len(frame) != _ANSWER.size or frame[:4] != MAGIC:
            raise TransferRefusedError("the holder answered something that is no page answer")
        _, sequence, status, count = _ANSWER.unpack(frame)
        if status not in list(Status):
            raise TransferRefusedError(f"the holder answered with the unknown status {status}")
        return cls(sequence, Status(status), count)

    def refusal(self, reason: str) -> TransferRefusedError:
        """The exception that a status other than OK means."""
        return StaleEpochError(reason) if self.status is Status.STALE_EPOCH else TransferRefusedError(reason)
