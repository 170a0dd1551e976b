"""What goes wrong, in OpenAI's error shape. One translation from gRPC statuses, one to HTTP."""

import math

import grpc

from bagel.errors import BagelError, DeadlineError, NotReadyError, OverloadedError, RequestError
from bagel.limits import RETRY_AFTER_S as MOST_RETRY_AFTER_S
from bagel.rpc import error_param, error_pushback_s

RETRY_AFTER_S = 1
CLIENT_CLOSED_REQUEST = 499


# Of a stage that went away, or of what it was to hand over.
_LOST = {
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED, grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.FAILED_PRECONDITION,
}  # fmt: skip


class ApiError(Exception):
    """An answer with an error body."""

    def __init__(
        self, *, status: int, message: str, type: str, param: str | None = None, code: str | None = None,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.message, self.type, self.param, self.code = status, message, type, param, code
        self.retry_after_s = min(max(retry_after_s, RETRY_AFTER_S), MOST_RETRY_AFTER_S.most)

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """What a client should know about trying again."""
        match self.status:
            case 429 | 503:
                return {"retry-after": str(math.ceil(self.retry_after_s))}
            case 401:
                return {"www-authenticate": "Bearer"}
            case 408 | 413:
                # The rest of the body is not waited for.
                return {"connection": "close"}
            case 504:
                return {"x-should-retry": "false"}
            case _:
                return {}


def invalid_request(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> ApiError:
    """The caller's fault."""
    return ApiError(status=status, message=message, type="invalid_request_error", param=param, code=code)


def rate_limited(message: str, *, code: str, retry_after_s: float) -> ApiError:
    """The same request may succeed later."""
    return ApiError(status=429, message=message, type="rate_limit_error", code=code, retry_after_s=retry_after_s)


def from_bagel(error: BagelError) -> ApiError:
    """Our own exceptions, raised in this process."""
    match error:
        case RequestError(param=param):
            return invalid_request(str(error), param=param, code="invalid_value")
        case OverloadedError(retry_after_s=seconds):
            return rate_limited(str(error), code="overloaded", retry_after_s=seconds)
        case DeadlineError():
            return _deadline_exceeded()
        case NotReadyError():
            return ApiError(status=503, message=str(error), type="server_error", code="not_ready")
        case _:
            return ApiError(status=500, message=str(error), type="server_error", code="internal_error")


def from_rpc(error: grpc.aio.AioRpcError, stage: str) -> ApiError:
    """A stage's status."""
    details = error.details() or error.code().name
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT:
            return invalid_request(details, param=error_param(error), code="invalid_value")
        case grpc.StatusCode.UNIMPLEMENTED:
            return invalid_request(details, code="not_supported")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return rate_limited(details, code="overloaded", retry_after_s=error_pushback_s(error) or RETRY_AFTER_S)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return _deadline_exceeded()
        case code if code in _LOST:
            message = f"the {stage} was lost or is not ready: {details}"
            return ApiError(status=503, message=message, type="server_error", code="stage_unavailable")
        case _:
            return ApiError(status=500, message=f"{stage}: {details}", type="server_error", code="internal_error")


def _deadline_exceeded() -> ApiError:
    message = "the request's deadline passed before its answer was ready"
    return ApiError(status=504, message=message, type="timeout_error", code="deadline_exceeded")
