"""What can go wrong while pages move. Each is translated to a gRPC status by `bagel.rpc`."""

import threading

from bagel.errors import BagelError


class TransportError(BagelError):
    """Base of every transfer error. The landing memory's content is undefined afterwards.

    `settled`, where it is not None, is set once nothing writes to that memory any more; until then it may not be used.
    """

    settled: threading.Event | None = None


class PeerLostError(TransportError):
    """The holder cannot be reached or went away."""


class TransferTimeoutError(TransportError):
    """The deadline passed before every page had arrived."""


class TransferRefusedError(TransportError):
    """The holder refused: unknown token, pages outside the grant, or malformed request."""


class LeaseEndedError(TransferRefusedError):
    """The handle was released, or the grant closed or expired, before every page was read."""


class StaleEpochError(TransferRefusedError):
    """The handle belongs to an earlier life of the holder."""


class TransferCorruptError(TransportError):
    """A page arrived with another digest than its holder announced, or with another length."""


class TransferCancelledError(TransportError):
    """The reader gave up; nothing is written any more."""
