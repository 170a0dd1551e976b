"""`/metrics` counts what happened, by task, part and transport."""

import re
from typing import Any

from tests.e2e.server import Server, user

DRAW: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 5, "seed": 3}


def test_a_picture_a_text_and_a_refusal_are_counted(server: Server) -> None:
    before = server.figures("gateway")
    server.answer(**DRAW, messages=user("A cat"))
    drawn = {"prompt": "A cat", "size": "128x128", "num_inference_steps": 5}
    assert server.http.post("/v1/images/generations", json=drawn).status_code == 200
    server.answer(messages=user("Hi"), max_tokens=3)
    assert server.chat(messages=user("word " * 40_000)).status_code == 400
    assert server.http.get("/no/such/page").status_code == 404
    after = server.figures("gateway")

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown('bagel_requests_total{outcome="ok",task="text2img"}') == 2
    assert grown('bagel_requests_total{outcome="ok",task="text2text"}') == 1
    chat = 'bagel_http_responses_total{route="/v1/chat/completions",status="%s"}'
    assert (grown(chat % 200), grown(chat % 400)) == (2, 1)
    assert grown('bagel_http_responses_total{route="none",status="404"}') == 1
    assert grown("bagel_denoise_steps_total") == 8
    assert grown('bagel_kv_unique_bytes_total{transport="shm"}') > 0
    assert grown('bagel_part_seconds_count{part="denoise"}') == 2
    assert after['bagel_running_requests{task="text2img"}'] == 0
    assert {v for k, v in after.items() if k.startswith("bagel_stage_ready")} == {1.0}


def test_names_end_in_their_units(server: Server) -> None:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", server.http.get("/metrics").text, re.MULTILINE))
    units = {"counter": "_total", "histogram": ("_seconds", "_ratio"), "gauge": ("_requests", "_ready", "_pages")}
    own = {name: kind for name, kind in kinds.items() if not name.endswith("_created")}
    assert len(own) > 8
    assert all(name.startswith("bagel_") and name.endswith(units[kind]) for name, kind in own.items()), own
