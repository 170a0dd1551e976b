"""What a DiT measures, for Prometheus: requests, transfers, steps, decoding."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bagel.metrics import RATIOS, SECONDS, RequestCounter
from services.dit.pulling import PullReport

TRANSPORT = ("transport",)


class DitMetrics:
    """In its process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = at = registry
        self.requests = RequestCounter("bagel_dit_requests_total", at)
        self.queue_s = self._seconds("queue", "From a request's arrival to its first work, the transfer included")
        self.load_s = self._seconds("load", "A context from its pages into the buffers of a picture")
        self.step_s = self._seconds("step", "One denoising step: one to three forwards")
        self.preview_s = self._seconds("preview", "A preview's decoding and shrinking")
        self.vae_decode_s = self._seconds("vae_decode", "A picture from its latent")
        self.encode_s = self._seconds("encode", "A picture's file")
        self.forwards = Counter("bagel_dit_forwards_total", "Forwards of the model", registry=at)
        self._transfer_s = self._seconds("transfer", "Moving or attaching one context's pages", TRANSPORT)
        self._wait_s = self._seconds("transfer_wait", "From a context's seal to its last page", TRANSPORT)
        self._overlap = Histogram(
            "bagel_dit_transfer_overlap_ratio",
            "Part of the bytes that had moved at the seal",
            TRANSPORT,
            buckets=RATIOS,
            registry=at,
        )
        self._moved = Counter("bagel_dit_transfer_bytes_total", "Bytes of KV pages that moved", TRANSPORT, registry=at)
        self._read = Counter(
            "bagel_dit_context_bytes_total", "Bytes of the contexts' different pages", TRANSPORT, registry=at
        )

    def transferred(self, report: PullReport) -> None:
        """A context is here."""
        self._transfer_s.labels(report.transport).observe(report.seconds)
        self._wait_s.labels(report.transport).observe(report.wait_s)
        self._moved.labels(report.transport).inc(report.moved_bytes)
        self._read.labels(report.transport).inc(report.unique_bytes)
        if report.moved_bytes:
            self._overlap.labels(report.transport).observe(report.overlap)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is looked at when it is asked for, from another thread."""
        Gauge(f"bagel_dit_{name}", text, registry=self.registry).set_function(read)

    def _seconds(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"bagel_dit_{name}_seconds", text, labels, buckets=SECONDS, registry=self.registry)
