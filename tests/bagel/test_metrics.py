"""Requests are counted by how they end; figures are served where they are asked for."""

import asyncio
import time
import urllib.request
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from bagel.errors import BagelError, ConfigError, OverloadedError, RequestError
from bagel.metrics import RequestCounter, serve_metrics

FAR_S = 1e9


def counted(error: BaseException | None, *, deadline_s: float = FAR_S, answered: bool = False) -> str:
    """The outcome under which a request is counted that ends with an error."""
    registry = CollectorRegistry()
    counter = RequestCounter("bagel_x_requests_total", registry)
    with suppress(type(error) if error is not None else ()), counter.counted("text", deadline_s) as ending:
        ending.answered = answered
        if error is not None:
            raise error
    (sample,) = (s for m in registry.collect() for s in m.samples if s.name.endswith("_total"))
    assert (sample.labels["task"], sample.value) == ("text", 1)
    return sample.labels["outcome"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (RequestError("no", param="n"), "invalid_argument"),
        (OverloadedError("full"), "resource_exhausted"),
        (BagelError("odd"), "failed"),
        (ValueError("a bug"), "failed"),
    ],
)
def test_an_outcome_is_one_of_few_words(error: BaseException | None, outcome: str) -> None:
    assert counted(error) == outcome


def test_a_cancelled_call_whose_deadline_has_passed_was_late() -> None:
    assert counted(asyncio.CancelledError(), deadline_s=time.monotonic()) == "deadline_exceeded"


def test_a_lease_that_ends_after_its_context_was_sent_is_a_success() -> None:
    assert counted(asyncio.CancelledError(), answered=True) == "ok"


def test_figures_are_served_on_any_free_port_and_a_taken_one_is_one_clear_message() -> None:
    registry = CollectorRegistry()
    RequestCounter("bagel_x_requests_total", registry)
    address = serve_metrics("127.0.0.1:0", registry)
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as response:
        assert b"bagel_x_requests_total" in response.read()
    with pytest.raises(ConfigError, match=f"--metrics-bind {address}: cannot listen there"):
        serve_metrics(address, registry)


@pytest.mark.parametrize("bind", ["9464", ":9464", "127.0.0.1:x"])
def test_an_address_that_is_none_is_refused(bind: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        serve_metrics(bind, CollectorRegistry())
