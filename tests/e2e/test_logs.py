"""One request id names a request in the logs of every service."""

import json
from typing import Any

from tests.e2e.server import Server, user

DRAW: dict[str, Any] = {
    "messages": user("A cat"), "modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 3,
}  # fmt: skip
SERVICES = {"gateway", "thinker", "dit"}


def test_one_request_id_is_in_every_line_of_all_three_services(server: Server) -> None:
    first = len(server.process.lines)
    response = server.http.post("/v1/chat/completions", json=DRAW, headers={"x-request-id": "my-request"})
    request_id = response.headers["x-request-id"]
    assert request_id.startswith("my-request-")
    over: dict[str, dict[str, Any]] = {}
    while over.keys() < SERVICES:
        event = server.process.wait_event("request_over", timeout_s=10)
        if event.get("request_id") == request_id:  # others may have called a stage by themselves
            over[event["service"]] = event
    events = [json.loads(line) for line in server.process.lines[first:]]
    # The lines before are of the test before, whose last ones may still have been on their way.
    about = [event for event in events if event.get("request_id", "").startswith("my-request")]
    assert {event["service"] for event in about} == SERVICES
    assert {event["request_id"] for event in about} == {request_id}
    assert [event for event in events if "request_id" not in event and event["service"] in SERVICES] == []
    assert {service: event["outcome"] for service, event in over.items()} == dict.fromkeys(SERVICES, "ok")


def test_a_refusal_by_a_stage_is_logged_under_the_same_id_with_its_outcome(server: Server) -> None:
    # Fits by its characters, which the gateway counts; the Thinker counts tokens.
    body = {"messages": user("a b c d e f g h " * 1_000), "max_tokens": 5}
    response = server.http.post("/v1/chat/completions", json=body, headers={"x-request-id": "too-long"})
    assert response.status_code == 400, response.text
    outcomes: dict[str, str] = {}
    while outcomes.keys() < {"gateway", "thinker"}:
        event = server.process.wait_event("request_over", timeout_s=10)
        if event.get("request_id", "").startswith("too-long-"):
            outcomes[event["service"]] = event["outcome"]
    assert outcomes == {"gateway": "invalid_value", "thinker": "invalid_argument"}


def test_ids_that_could_break_logs_are_replaced(server: Server) -> None:
    response = server.http.get("/v1/models", headers={"x-request-id": "a b"})
    assert response.status_code == 200
    answer = server.http.post(
        "/v1/chat/completions", json={"messages": user("Hi"), "max_tokens": 1}, headers={"x-request-id": 'a"b'}
    )
    assert answer.headers["x-request-id"].startswith("req-")


def test_every_answer_names_its_request_also_the_refusals(server: Server) -> None:
    for method, path, body, status in (
        ("POST", "/v1/chat/completions", {"messages": user("Hi"), "max_tokens": 1}, 200),
        ("POST", "/v1/chat/completions", {"messages": 3}, 400), ("GET", "/v1/models", None, 200),
        ("GET", "/v1/models/other", None, 404), ("GET", "/nothing", None, 404), ("PUT", "/v1/models", None, 405),
    ):  # fmt: skip
        answer = server.http.request(method, path, json=body, headers={"x-request-id": "mine"})
        assert answer.status_code == status
        (named,) = answer.headers.get_list("x-request-id")
        assert named.rsplit("-", 1)[0] == "mine"
