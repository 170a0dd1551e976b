"""The gateway's answers as gRPC statuses: HTTP's few that `bagel.errors` has no exception for, and the translation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from grpc import StatusCode

from bagel.errors import BagelError, DeadlineError, NotReadyError, OverloadedError, RequestError
from services.gateway.errors import CLIENT_CLOSED_REQUEST, ApiError


class NoKeyError(BagelError):
    """The call shows no valid API key."""


class NotFoundError(BagelError):
    """The model or the request that was named is not here."""


class StoppedError(BagelError):
    """Another call cancelled this one."""


STATUSES = {
    NoKeyError: StatusCode.UNAUTHENTICATED,
    NotFoundError: StatusCode.NOT_FOUND,
    StoppedError: StatusCode.CANCELLED,
}


@contextmanager
def as_status(field_of: Callable[[str], str] = str) -> Iterator[None]:
    """A block whose ApiErrors become exceptions that `bagel.rpc` has a status for; `field_of` renames their fields."""
    try:
        yield
    except ApiError as error:
        raise _of(error, field_of) from error
    except RequestError as error:
        raise RequestError(str(error), param=_renamed(error.param, field_of)) from error


def _of(error: ApiError, field_of: Callable[[str], str]) -> BagelError:
    match error.status:
        case 401:
            return NoKeyError(error.message)
        case 404:
            return NotFoundError(error.message)
        case 429:
            return OverloadedError(error.message, retry_after_s=error.retry_after_s)
        case 503:
            return NotReadyError(error.message)
        case 504:
            return DeadlineError(error.message)
        case 500:
            return BagelError(error.message)
        case status if status == CLIENT_CLOSED_REQUEST:
            return StoppedError(error.message)
        case _:
            return RequestError(error.message, param=_renamed(error.param, field_of))


def _renamed(param: str | None, field_of: Callable[[str], str]) -> str | None:
    return None if param is None else field_of(param)
