"""Without an endpoint nothing is traced and nothing of OpenTelemetry is loaded."""

import os
import subprocess
import sys
import time

import pytest

from bagel.tracing import annotate, headers, here, record, serving, span
from tests.processes import ROOT

STARTED = """
import sys
from bagel.tracing import tracing, here
with tracing("x"):
    sys.exit(10 * (here() is not None) + any(name.startswith("opentelemetry.") for name in sys.modules))
"""
# As if the extra were not installed.
WITHOUT_EXTRA = "import sys; sys.modules['opentelemetry'] = None; "


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=False
    )


def test_nothing_happens_where_nobody_asked_for_traces() -> None:
    with serving("request", {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}), span("part", pages=3) as spot:
        annotate(outcome="ok")
        record(here(), "queue", 0.0, 1.0)
        assert spot is here() is None
        assert headers() == ()


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    assert run(STARTED).returncode == 0


def test_a_collector_that_is_away_does_not_hold_up_the_end() -> None:
    pytest.importorskip("opentelemetry.sdk")
    spans = "from bagel.tracing import tracing, span\nwith tracing('x'):\n    with span('part'): pass"
    started = time.monotonic()
    assert run(spans, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9").returncode == 0
    assert time.monotonic() - started < 8  # it tries for ten seconds


def test_an_endpoint_without_the_extra_is_a_warning_that_says_what_to_install() -> None:
    done = run(WITHOUT_EXTRA + STARTED, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "traces_off" in done.stdout + done.stderr
    assert "bagel-serve[otel]" in done.stdout + done.stderr
