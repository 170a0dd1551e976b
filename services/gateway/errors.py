"""What goes wrong, in OpenAI's error shape. One translation from gRPC statuses, one to HTTP."""

import grpc

from bagel.errors import BagelError, DeadlineError, NotReadyError, OverloadedError, RequestError
from bagel.rpc import error_param

RETRY_AFTER_S = 1
CLIENT_CLOSED_REQUEST = 499


class ApiError(Exception):
    """An answer with an error body."""

    def __init__(
        self, *, status: int, message: str, type: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.type, self.param, self.code = status, message, type, param, code

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """What a client should know about trying again."""
        match self.status:
            case 429 | 503:
                return {"retry-after": str(RETRY_AFTER_S)}
            case 504:
                return {"x-should-retry": "false"}
            case _:
                return {}


def invalid_request(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> ApiError:
    """The caller's fault."""
    return ApiError(status=status, message=message, type="invalid_request_error", param=param, code=code)


def from_bagel(error: BagelError) -> ApiError:
    """Our own exceptions, raised in this process."""
    match error:
        case RequestError(param=param):
            return invalid_request(str(error), param=param, code="invalid_value")
        case OverloadedError():
            return ApiError(status=429, message=str(error), type="rate_limit_error", code="overloaded")
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
            return ApiError(status=429, message=details, type="rate_limit_error", code="overloaded")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return _deadline_exceeded()
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.ABORTED:
            message = f"the {stage} was lost or is not ready: {details}"
            return ApiError(status=503, message=message, type="server_error", code="stage_unavailable")
        case _:
            return ApiError(status=500, message=f"{stage}: {details}", type="server_error", code="internal_error")


def _deadline_exceeded() -> ApiError:
    message = "the request's deadline passed before its answer was ready"
    return ApiError(status=504, message=message, type="timeout_error", code="deadline_exceeded")
