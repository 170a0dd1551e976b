"""The exceptions that cross package boundaries. Each is translated to a gRPC status once, in `bagel.rpc`."""


class BagelError(Exception):
    """Base of every error this project raises on purpose. The message says what was wrong, where, and what to do."""


class ConfigError(BagelError):
    """A flag, a file of the checkpoint or the environment is wrong; the process cannot start."""


class RequestError(BagelError):
    """The caller sent something that can never work. `param` names the field at fault, if one is."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class OverloadedError(BagelError):
    """A bounded queue is full. The same request may succeed after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(BagelError):
    """A stage is still loading or cannot be reached."""


class DeadlineError(BagelError):
    """The request's deadline passed before its answer was ready; everything it held is free again."""


class IncompleteContextError(BagelError):
    """A branch of a picture's context is missing or does not fit: an error, never a worse picture."""
