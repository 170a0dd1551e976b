"""Every answer says where its time went, whole or streamed, over HTTP and gRPC alike."""

import json
from typing import Any

import pytest

from tests.e2e.server import Server, picture, scene, text, user
from tests.processes import ROOT

WRITING = {"total", "queue", "thinker_queue", "prefill", "first_token", "decode"}
DRAWING = WRITING | {"transfer", "dit_queue", "load", "denoise", "step", "preview", "vae_decode", "encode"}
# What one request does one after the other; the others overlap with these.
IN_TURN = ("queue", "thinker_queue", "prefill", "decode", "load", "denoise", "preview", "vae_decode", "encode")
SMALL: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 4}
EDIT: dict[str, Any] = {
    **SMALL, "messages": user(picture(scene(90, 60)), text("Red")), "think": True, "max_think_tokens": 4,
}  # fmt: skip
PROMPT: dict[str, Any] = {"prompt": "A cat", "size": "128x128", "num_inference_steps": 4, "n": 2}


def last_event(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The last event with data of a stream."""
    with server.http.stream("POST", path, json={**body, "stream": True}) as response:
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: {")]
    event: dict[str, Any] = json.loads(data[-1])
    return event


def check(figures: dict[str, Any], parts: set[str]) -> None:
    seconds = figures["timings_s"]
    assert seconds.keys() == parts
    assert all(value >= 0 for value in seconds.values())
    assert sum(seconds.get(part, 0.0) for part in IN_TURN) <= seconds["total"]
    assert seconds["first_token"] <= seconds["total"]
    if "step" in parts:
        assert seconds["step"] * figures["work"]["steps"] == pytest.approx(seconds["denoise"])
        assert 0 < seconds["denoise"] < seconds["total"]


def test_whole_answers_have_every_part(server: Server) -> None:
    check(server.answer(messages=user("Hi"), max_tokens=3)["bagel"], WRITING)
    check(server.answer(**EDIT)["bagel"], DRAWING)
    check(server.http.post("/v1/images/generations", json=PROMPT).json()["bagel"], DRAWING)


def test_the_last_event_of_a_stream_has_them_too(server: Server) -> None:
    usage = {"stream_options": {"include_usage": True}}
    check(
        last_event(server, "/v1/chat/completions", {"messages": user("Hi"), "max_tokens": 3, **usage})["bagel"], WRITING
    )
    check(last_event(server, "/v1/chat/completions", {**EDIT, **usage})["bagel"], DRAWING)
    check(last_event(server, "/v1/images/generations", PROMPT)["bagel"], DRAWING)


def test_the_page_explains_every_part() -> None:
    page = (ROOT / "docs/observability.md").read_text()
    section = page.split("## In every answer")[1].split("\n## ")[0]
    assert {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")} == DRAWING
