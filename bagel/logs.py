"""Structured logs: one line an event, JSON or for people, with the request id that travels through metadata.

What libraries say over `logging`, from warnings on, takes the same form.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

REQUEST_ID = "request_id"


def configure_logs(*, service: str, fmt: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Set the process's logs up, once, at its start. `fmt` is `json`, `text` or `auto` (text on a terminal)."""
    out = sys.stderr if stream is None else stream
    if fmt == "auto":
        fmt = "text" if out.isatty() else "json"

    def name_service(logger: object, method: str, event: EventDict) -> EventDict:
        # No context variable: threads of libraries have none of ours.
        return {"service": service, **event}

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = [structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24)]
    if fmt == "json":
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=out),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def bound_logger() -> structlog.typing.FilteringBoundLogger:
    """The logger with what is bound now, for code whose end may run in another task."""
    logger: structlog.typing.FilteringBoundLogger = get_logger().bind(**structlog.contextvars.get_contextvars())
    return logger


def bind_request(request_id: str) -> None:
    """Name the request in every log line of this task from now on."""
    structlog.contextvars.bind_contextvars(**{REQUEST_ID: request_id})


def bind_trace(trace_id: str) -> None:
    """Name the trace likewise."""
    structlog.contextvars.bind_contextvars(trace_id=trace_id)
