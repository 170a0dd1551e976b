"""Structured logs: one line an event, JSON or for people, with the request id that travels through metadata."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

REQUEST_ID = "request_id"


def configure_logs(*, service: str, fmt: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Set the process's logs up, once, at its start. `fmt` is `json`, `text` or `auto` (text on a terminal)."""
    out = sys.stderr if stream is None else stream
    if fmt == "auto":
        fmt = "text" if out.isatty() else "json"
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if fmt == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors += [structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24)]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=out),
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def bind_request(request_id: str) -> None:
    """Name the request in every log line of this task from now on."""
    structlog.contextvars.bind_contextvars(**{REQUEST_ID: request_id})
