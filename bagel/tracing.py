"""Traces, where someone collects them: spans of one request over all processes, joined by W3C's `traceparent`.

Off, and nothing of OpenTelemetry loaded, unless an endpoint is set in its own environment variables. Where in a trace
a task stands is a context variable, which tasks inherit: it is set once a process, and once a request.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from bagel.logs import bind_trace, get_logger

if TYPE_CHECKING:
    from bagel.otel import Spot

Value = str | int | float | bool
# OpenTelemetry's library reads everything else that it is told there by itself.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HERE: "ContextVar[Spot | None]" = ContextVar("bagel_trace", default=None)


@contextmanager
def tracing(service: str) -> Iterator[None]:
    """Trace this process for the time of a block if its environment names an endpoint. Before any task is made."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        yield
        return
    try:
        from bagel.otel import traced
    except ImportError as error:
        get_logger().warning("traces_off", reason=f"pip install 'bagel-serve[otel]' ({error})")
        yield
        return
    with traced(service) as spot:
        token = _HERE.set(spot)
        try:
            yield
        finally:
            _HERE.reset(token)


def here() -> "Spot | None":
    """The span that this task works under, for `record` from another task."""
    return _HERE.get()


@contextmanager
def span(name: str, **attributes: Value) -> Iterator["Spot | None"]:
    """A block of this task as a span under the present one."""
    above = _HERE.get()
    with _inside(None if above is None else above.start(name, attributes)) as spot:
        yield spot


@contextmanager
def serving(name: str, headers: Mapping[str, str], **attributes: Value) -> Iterator["Spot | None"]:
    """A request from elsewhere as a span under its caller's, which `headers` (small letters) may name."""
    above = _HERE.get()
    with _inside(None if above is None else above.called(headers).start(name, attributes, server=True)) as spot:
        if spot is not None:
            bind_trace(spot.trace_id)
        yield spot


def record(under: "Spot | None", name: str, started_s: float, ended_s: float, **attributes: Value) -> None:
    """A span that is over; times are on the monotonic clock."""
    if under is not None:
        under.record(name, started_s, ended_s, attributes)


def annotate(**attributes: Value) -> None:
    """Say more about the present span."""
    spot = _HERE.get()
    if spot is not None:
        spot.annotate(attributes)


def headers() -> tuple[tuple[str, str], ...]:
    """What names the present span to another process."""
    spot = _HERE.get()
    return () if spot is None else tuple(spot.headers().items())


@contextmanager
def _inside(spot: "Spot | None") -> Iterator["Spot | None"]:
    if spot is None:
        yield None
        return
    token = _HERE.set(spot)
    try:
        yield spot
    except (asyncio.CancelledError, GeneratorExit):
        spot.annotate({"cancelled": True})  # by its caller, who has what he wants or wants it no more
        raise
    except BaseException as error:
        spot.failed(error)
        raise
    finally:
        spot.end()
        # A generator may be closed by a task that never entered it.
        with suppress(ValueError):
            _HERE.reset(token)
