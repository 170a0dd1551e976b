"""Running systems of `bagel serve` in every topology, and the eight requests that each must answer."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.server import picture, read_picture, read_text, scene, text, user
from tests.ports import free_port
from tests.processes import ROOT, Process

SMALL: dict[str, Any] = {"height": 64, "width": 64, "num_inference_steps": 4, "seed": 9, "modalities": ["image"]}
SHORT: dict[str, Any] = {"max_tokens": 5, "modalities": ["text"]}
SCENE = picture(scene(64, 64))
TASKS: dict[str, dict[str, Any]] = {
    "text2text": {"messages": user("Hi"), **SHORT},
    "img2text": {"messages": user(text("What is it?"), SCENE), **SHORT},
    "text2img": {"messages": user("A cat"), **SMALL},
    "img2img": {"messages": user(text("Make it blue"), SCENE), **SMALL},
}


@contextmanager
def deployed(*flags: str) -> Iterator[tuple[Process, httpx.Client]]:
    """A node that serves, and its client."""
    port = free_port()
    process = Process("services.cli.main", "serve", "--port", str(port), "--log-format", "json", *flags)
    try:
        process.wait_event("serving")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield process, http
    finally:
        process.stop()


def ask(http: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request that must succeed."""
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def all_answers(http: httpx.Client) -> dict[str, str | bytes]:
    """Texts, and pictures byte by byte, of all four tasks with and without a thought."""
    found: dict[str, str | bytes] = {}
    for name, body in TASKS.items():
        for think in (False, True):
            thinking = {"think": True, "max_think_tokens": 4} if think else {"think": False}
            answer = ask(http, {**body, **thinking})
            key = f"{name}{' with a thought' if think else ''}"
            if think or "image" not in body["modalities"]:
                found[f"{key}: text"] = read_text(answer)
            if "image" in body["modalities"]:
                found[f"{key}: picture"] = read_picture(answer)
    return found


def command_on_path(folder: Path) -> dict[str, str]:
    """An environment in which `bagel` is this checkout's."""
    script = folder / "bagel"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli.main "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
