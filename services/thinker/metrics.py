"""What the Thinker measures, for Prometheus: requests, their seconds, tokens."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bagel.metrics import SECONDS, RequestCounter


class ThinkerMetrics:
    """In its process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = at = registry
        self.requests = RequestCounter("bagel_thinker_requests_total", at)
        self.queue_s = Histogram(
            "bagel_thinker_queue_seconds", "From a request's arrival to its first work", buckets=SECONDS, registry=at
        )
        self.prefill_s = Histogram(
            "bagel_thinker_prefill_seconds",
            "One block: text, vit, vae (its encoder included) or thought",
            ("block",),
            buckets=SECONDS,
            registry=at,
        )
        self.token_s = Histogram(
            "bagel_thinker_token_seconds", "One decoded token on the device", buckets=SECONDS, registry=at
        )
        self.first_token_s = Histogram(
            "bagel_thinker_first_token_seconds", "From arrival to the first token", buckets=SECONDS, registry=at
        )
        self.prefill_tokens = Counter("bagel_thinker_prefill_tokens_total", "Rows computed in blocks", registry=at)
        self.published = Counter(
            "bagel_thinker_published_bytes_total", "Bytes of KV pages published for DiTs", registry=at
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is looked at when it is asked for, from another thread."""
        Gauge(f"bagel_thinker_{name}", text, registry=self.registry).set_function(read)
