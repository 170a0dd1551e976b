"""The messages of the ZeroMQ data plane: fixed little-endian headers, neighbouring pages as one frame. No pickle.

Ask:    magic, sequence, epoch, token, first page, number of pages
Answer: magic, sequence, status; then one frame of the pages, or one frame of text that says why not
"""

import struct
from dataclasses import dataclass

from transport.errors import TransferRefusedError
from transport.publications import TOKEN_BYTES
from transport.status import Status

MAGIC = b"BKV2"
_ASK = struct.Struct(f"<4sIQ{TOKEN_BYTES}sQI")
_ANSWER = struct.Struct("<4sIB")


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
    """What follows: the pages if OK, else a frame of text."""

    sequence: int
    status: Status

    def pack(self) -> bytes:
        """The frame."""
        return _ANSWER.pack(MAGIC, self.sequence, self.status)

    @classmethod
    def unpack(cls, frame: bytes) -> "Answer":
        """Parse a frame. Raises TransferRefusedError."""
        if len(frame) != _ANSWER.size or frame[:4] != MAGIC:
            raise TransferRefusedError("the holder answered something that is no page answer")
        _, sequence, status = _ANSWER.unpack(frame)
        if status not in list(Status):
            raise TransferRefusedError(f"the holder answered with the unknown status {status}")
        return cls(sequence, Status(status))
