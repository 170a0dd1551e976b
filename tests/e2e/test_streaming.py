"""Server-sent events: the pieces make the whole."""

import json
from typing import Any

from tests.e2e.server import Server, picture, read_picture, read_text, scene, text, user

SMALL: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 5, "seed": 3}


def events(server: Server, **body: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Data events (the closing [DONE] checked and dropped) and comments of a stream."""
    with server.http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(item) for item in data], [line for line in lines if line.startswith(":")]


def joined(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def test_streamed_text_joined_is_the_whole_answer(server: Server) -> None:
    body = {"messages": user(picture(scene(90, 60)), text("What is it?")), "max_tokens": 40}
    chunks, _ = events(server, **body)
    whole = server.answer(**body)
    assert joined(chunks) == read_text(whole)
    assert len([c for c in chunks if c["choices"][0]["delta"].get("content")]) > 3
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_usage_comes_last_when_asked_for(server: Server) -> None:
    body = {"messages": user("Hi"), "max_tokens": 5, "stream_options": {"include_usage": True}}
    chunks, _ = events(server, **body)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == server.answer(**body)["usage"]


def test_a_streamed_picture_comes_after_its_thought_with_progress_between(server: Server) -> None:
    body = {**SMALL, "messages": user("A cat"), "think": True, "max_think_tokens": 12}
    chunks, comments = events(server, **body)
    whole = server.answer(**body)
    assert joined(chunks) == read_text(whole)
    drawn, last = (chunk["choices"][0] for chunk in chunks[-2:])
    assert (drawn["index"], drawn["finish_reason"]) == (1, None)
    assert drawn["delta"]["images"][0]["image_url"] == whole["choices"][1]["message"]["content"][0]["image_url"]
    assert last == {"index": 1, "delta": {}, "finish_reason": "stop"}
    assert read_picture(whole)
    assert comments == [f": step {done} of 4" for done in range(1, 5)]


def test_what_is_refused_before_the_stream_begins_keeps_its_status(server: Server) -> None:
    response = server.chat(messages=user("word " * 40_000), stream=True)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "messages"


def test_an_error_inside_a_stream_is_an_error_event(server: Server) -> None:
    long = {"height": 256, "width": 256, "num_inference_steps": 1000, "timeout_s": 3.0}
    body = {**SMALL, **long, "messages": user("A cat"), "stream": True}
    with server.http.stream("POST", "/v1/chat/completions", json=body) as response:
        data = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert json.loads(data[-1].removeprefix("data: "))["error"]["code"] == "deadline_exceeded"


def test_sampled_text_repeats_with_its_seed_and_changes_with_another(server: Server) -> None:
    body = {"messages": user("Tell me"), "max_tokens": 24, "temperature": 1.0, "top_p": 0.95}
    texts = [read_text(server.answer(**body, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
