"""Spans of OpenTelemetry, sent over HTTP (OTLP) by a thread of its own. Needs the extra `otel`; see `bagel.tracing`."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bagel import __version__

Attributes = Mapping[str, str | int | float | bool]
LAST_WORDS_S = 1.0
_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in a trace something happens: under the span of `context`, or under none yet. Safe in any thread."""

    tracer: Tracer
    context: Context

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return format_trace_id(get_current_span(self.context).get_span_context().trace_id)

    def called(self, headers: Mapping[str, str]) -> "Spot":
        """Under the span of another process, if the headers name one."""
        return Spot(self.tracer, _W3C.extract(headers, context=Context()))

    def start(self, name: str, attributes: Attributes, *, server: bool = False) -> "Spot":
        """Under a new span, which `end` ends."""
        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        span = self.tracer.start_span(name, context=self.context, kind=kind, attributes=dict(attributes))
        return Spot(self.tracer, set_span_in_context(span, self.context))

    def record(self, name: str, started_s: float, ended_s: float, attributes: Attributes) -> None:
        """A span below this one that is over; times are on the monotonic clock."""
        # A thread that stands still between the two clocks makes it smaller.
        to_wall_ns = max(time.time_ns() - time.monotonic_ns() for _ in range(3))
        span = self.tracer.start_span(
            name, context=self.context, attributes=dict(attributes), start_time=to_wall_ns + int(started_s * 1e9)
        )
        span.end(to_wall_ns + int(ended_s * 1e9))

    def annotate(self, attributes: Attributes) -> None:
        """Say more about this span."""
        get_current_span(self.context).set_attributes(dict(attributes))

    def failed(self, error: BaseException) -> None:
        """Mark this span, without the error's text: it may quote what a user sent."""
        get_current_span(self.context).set_status(Status(StatusCode.ERROR, type(error).__name__))

    def end(self) -> None:
        """This span is over."""
        get_current_span(self.context).end()

    def headers(self) -> dict[str, str]:
        """What names this span to another process."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, context=self.context)
        return carrier


@contextmanager
def traced(service: str) -> Iterator[Spot]:
    """Under no span. At the end what is left is sent, if the collector takes it within `LAST_WORDS_S`."""
    resource = Resource.create({SERVICE_NAME: f"bagel-{service}", SERVICE_VERSION: __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield Spot(provider.get_tracer("bagel", __version__), Context())
    finally:
        # It tries again and again where nobody listens; a thread that is left behind ends with the process.
        closing = Thread(target=provider.shutdown, daemon=True)
        closing.start()
        closing.join(LAST_WORDS_S)
