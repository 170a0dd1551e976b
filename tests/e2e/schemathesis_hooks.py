"""Loaded by schemathesis: what it sends stays as right or as wrong as it was, but costs little and gets further.

Right values of what costs time become cheap ones; of a request that is meant to be right, pictures become pictures and
the model this server's.
"""

import base64
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

from services.gateway.openapi_examples import PICTURE

Json = dict[str, Any]
PNG = PICTURE.read_bytes()
PICTURE_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
# What is in bounds becomes this; what is left out, too.
CHEAP: dict[str, tuple[float, float, float]] = {
    "num_inference_steps": (2, 1000, 3), "max_tokens": (1, 32768, 4), "max_completion_tokens": (1, 32768, 4),
    "max_think_tokens": (1, 32768, 4), "timeout_s": (5e-324, 570, 60), "height": (16, 768, 64), "width": (16, 768, 64),
}  # fmt: skip
MANY_CHARACTERS = 200
ONLY_CHAT = ("max_tokens", "max_completion_tokens", "height", "width")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    if case.method.upper() != "POST" or not isinstance(case.body, dict):
        return
    case.body = body = dict(case.body)
    for name, (least, most, cheap) in CHEAP.items():
        if (name not in ONLY_CHAT or "chat" in case.path) and _taken(name, body.get(name), least, most):
            body[name] = cheap
    for name in ("prompt", "negative_prompt"):
        if isinstance(text := body.get(name), str) and MANY_CHARACTERS < len(text) <= 32_000:
            body[name] = text[:MANY_CHARACTERS]
    if body.get("size", "auto") == "auto" and "images" in case.path:
        body["size"] = "64x64"
    if isinstance(body.get("n"), int) and 1 < body["n"] <= 10:
        body["n"] = 2
    if case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
        _make_possible(body, form="edits" in case.path)


def _taken(name: str, value: Any, least: float, most: float) -> bool:
    """Whether a field is left out or right."""
    if value is None:
        return True
    right = isinstance(value, int | float) and type(value) is not bool and least <= value <= most
    return right and not (name in ("height", "width") and value % 16)


def _make_possible(body: Json, *, form: bool) -> None:
    body.pop("model", None)
    for name in ("image", "mask"):
        if form and name in body:
            body[name] = PNG
    if isinstance(body.get("image[]"), list):
        body["image[]"] = [PNG] * len(body["image[]"])
    body.pop("mask", None)
    for message in body.get("messages") or ():
        if isinstance(message, Mapping) and isinstance(message.get("content"), list):
            for part in message["content"]:
                if isinstance(part, Mapping) and isinstance(part.get("image_url"), dict):
                    part["image_url"]["url"] = PICTURE_URL
