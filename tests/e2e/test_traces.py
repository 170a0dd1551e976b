"""One request is one trace over all three processes, under the span of whoever sent it."""

import json
from typing import Any

import pytest

from tests.e2e.otlp import Span, collecting
from tests.e2e.server import picture, running_server, scene, text, user

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EDIT: dict[str, Any] = {
    "modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 3, "think": True,
    "max_think_tokens": 3, "messages": user(picture(scene(90, 60)), text("Red")),
}  # fmt: skip
GATEWAY, THINKER, DIT = "bagel-gateway", "bagel-thinker", "bagel-dit"
PREPARE, GENERATE = (THINKER, "bagel.v1.Thinker/PrepareContext"), (DIT, "bagel.v1.Dit/Generate")
# (service, name) of a span -> of its parent
PARENTS = {
    (GATEWAY, "request"): None,
    PREPARE: (GATEWAY, "request"),
    (THINKER, "queue"): PREPARE,
    (THINKER, "prefill"): PREPARE,
    (THINKER, "decode"): PREPARE,
    GENERATE: (GATEWAY, "request"),
    (DIT, "queue"): GENERATE,
    (DIT, "transfer"): GENERATE,
    (THINKER, "bagel.v1.KvSource/Read"): (DIT, "transfer"),
    (DIT, "load"): GENERATE,
    (DIT, "denoise"): GENERATE,
    (DIT, "decode"): GENERATE,
    (DIT, "encode"): GENERATE,
}


def test_a_request_is_one_trace_through_three_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with running_server("--load-format", "dummy") as server:
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
            answer = server.http.post("/v1/chat/completions", json=EDIT, headers=headers)
            assert answer.status_code == 200
            spans = collector.wait_for(TRACE, set(PARENTS), timeout_s=20)
            lines = [json.loads(line) for line in list(server.process.lines) if TRACE in line]
    by_id = {span.id: span for span in spans}
    for span in spans:
        parent = PARENTS[(span.service, span.name)]
        if parent is None:
            assert span.parent == CALLER
            continue
        above = by_id[span.parent]
        assert (above.service, above.name) == parent, span
        assert above.start_ns - 1e6 <= span.start_ns <= span.end_ns
    assert {line["service"] for line in lines if line["trace_id"] == TRACE} == {"gateway", "thinker", "dit"}
    _check_attributes(
        {(span.service, span.name): span for span in spans}, answer.json(), answer.headers["x-request-id"]
    )


def _check_attributes(spans: dict[tuple[str, str], Span], body: dict[str, Any], request_id: str) -> None:
    request = spans[(GATEWAY, "request")].attributes
    assert (request["task"], request["outcome"], request["request_id"]) == ("img2img", "ok", request_id)
    assert spans[PREPARE].attributes["request_id"] == spans[GENERATE].attributes["request_id"] == request_id
    assert spans[(THINKER, "decode")].attributes["tokens"] == body["bagel"]["work"]["decode_steps"]
    assert spans[(DIT, "transfer")].attributes["bytes"] == body["bagel"]["transfer"]["bytes"]
    assert spans[(DIT, "denoise")].attributes["steps"] == body["bagel"]["work"]["steps"]
