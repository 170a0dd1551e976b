"""The messages of the ZeroMQ data plane: an ask names runs of pages, each comes back as a frame. No pickle.

Ask:     magic, epoch, token, number of runs; then of each run its first page and its number of pages
Answer:  for each run, in order, a message of one frame, its pages; or instead of one of them, as the last, a message
         of two frames: magic and status, then a text that says why not
All numbers are little-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bagel.kv_layout import PageRun
from transport.errors import TransferRefusedError
from transport.publications import TOKEN_BYTES
from transport.status import Status

MAGIC = b"BKV3"
_ASK = struct.Struct(f"<4sQ{TOKEN_BYTES}sI")
_RUN = struct.Struct("<QI")
_REFUSAL = struct.Struct("<4sB")


@dataclass(frozen=True, slots=True)
class Ask:
    """Pages wanted."""

    epoch: int
    token: bytes
    runs: Sequence[PageRun]

    def pack(self) -> bytes:
        """The frame."""
        runs = b"".join(_RUN.pack(run.start, run.count) for run in self.runs)
        return _ASK.pack(MAGIC, self.epoch, self.token, len(self.runs)) + runs

    @classmethod
    def unpack(cls, frame: bytes) -> "Ask":
        """Parse a frame. Raises TransferRefusedError."""
        if len(frame) < _ASK.size or frame[:4] != MAGIC:
            raise TransferRefusedError("not a request for pages")
        _, epoch, token, count = _ASK.unpack_from(frame)
        if len(frame) != _ASK.size + count * _RUN.size:
            raise TransferRefusedError(f"a request for {count} runs of pages has another length than it should")
        return cls(epoch, token, tuple(PageRun(*run) for run in _RUN.iter_unpack(frame[_ASK.size :])))


def pack_refusal(status: Status) -> bytes:
    """The first frame of a refusal."""
    return _REFUSAL.pack(MAGIC, status)


def unpack_refusal(frame: bytes) -> Status:
    """Parse it. Raises TransferRefusedError where it is none."""
    if len(frame) != _REFUSAL.size or frame[:4] != MAGIC:
        raise TransferRefusedError("the holder answered something that is neither pages nor a refusal")
    _, status = _REFUSAL.unpack(frame)
    if status not in list(Status) or status == Status.OK:
        raise TransferRefusedError(f"the holder answered with the unknown status {status}")
    return Status(status)
