"""How a holder's refusals are written on the planes that have messages of their own."""

from enum import IntEnum

from transport.errors import LeaseEndedError, StaleEpochError, TransferRefusedError


class Status(IntEnum):
    """Outcome of one question to a holder."""

    OK = 0
    REFUSED = 1
    STALE_EPOCH = 2
    LEASE_ENDED = 3

    @classmethod
    def of(cls, error: TransferRefusedError) -> "Status":
        """What to answer."""
        match error:
            case StaleEpochError():
                return cls.STALE_EPOCH
            case LeaseEndedError():
                return cls.LEASE_ENDED
            case _:
                return cls.REFUSED

    def error(self, reason: str) -> TransferRefusedError:
        """The exception that a status other than OK means."""
        match self:
            case Status.STALE_EPOCH:
                return StaleEpochError(reason)
            case Status.LEASE_ENDED:
                return LeaseEndedError(reason)
            case _:
                return TransferRefusedError(reason)
