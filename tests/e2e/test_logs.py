"""One request id names a request in the logs of every service."""

import json
from typing import Any

from tests.e2e.server import Server, user


def test_one_request_id_is_in_the_logs_of_all_three_services(server: Server) -> None:
    body: dict[str, Any] = {
        "messages": user("A cat"), "modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 3,
    }  # fmt: skip
    response = server.http.post("/v1/chat/completions", json=body, headers={"x-request-id": "my-request"})
    request_id = response.headers["x-request-id"]
    assert request_id.startswith("my-request-")
    events = [json.loads(line) for line in list(server.process.lines) if line.startswith("{")]
    services = {event["service"] for event in events if event.get("request_id") == request_id}
    assert services == {"gateway", "thinker", "dit"}


def test_ids_that_could_break_logs_are_replaced(server: Server) -> None:
    response = server.http.get("/v1/models", headers={"x-request-id": "a b"})
    assert response.status_code == 200
    answer = server.http.post(
        "/v1/chat/completions", json={"messages": user("Hi"), "max_tokens": 1}, headers={"x-request-id": 'a"b'}
    )
    assert answer.headers["x-request-id"].startswith("req-")
