"""Why the registry refuses or ends a call, and the statuses that say so."""

from grpc import StatusCode

from bagel.errors import BagelError
from services.registry.book import OtherModelError, StaleEpochError


class WrongTokenError(BagelError):
    """The join token is missing or wrong."""


class OtherVersionError(BagelError):
    """The worker speaks another version of the protocol."""


class UnreachableWorkerError(BagelError):
    """At the address that a worker advertises is nobody, or somebody else."""


class SlowWorkerError(BagelError):
    """The worker is there but did not say in time who it is; it may try again."""


class ReplacedError(BagelError):
    """Another process joined under the worker's id."""


class SilentError(BagelError):
    """No heartbeat came for too long."""


class ClosingError(BagelError):
    """The registry stops."""


STATUSES: dict[type[BagelError], StatusCode] = {
    WrongTokenError: StatusCode.UNAUTHENTICATED,
    OtherVersionError: StatusCode.FAILED_PRECONDITION,
    OtherModelError: StatusCode.FAILED_PRECONDITION,
    UnreachableWorkerError: StatusCode.FAILED_PRECONDITION,
    SlowWorkerError: StatusCode.UNAVAILABLE,
    ReplacedError: StatusCode.ALREADY_EXISTS,
    StaleEpochError: StatusCode.ABORTED,
    SilentError: StatusCode.DEADLINE_EXCEEDED,
    ClosingError: StatusCode.UNAVAILABLE,
}
