"""Requests to `/v1/chat/completions` and what comes back. Knows no tasks and judges nothing."""

import base64
import io
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from PIL import Image

TIMEOUT_S = 300.0
Json = dict[str, object]


class RequestFailed(Exception):
    """The server refused the request or did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A text with at most one picture before it. `settings` are the interface's fields."""

    prompt: str
    picture: Image.Image | None = None
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first picture and the first text of an answer; a text that comes with a picture is a thought."""

    picture: Image.Image | None
    text: str
    wall_s: float


def ask(url: str, request: Request) -> Answer:
    """Blocks until the answer is there, at most `TIMEOUT_S`. Raises RequestFailed."""
    content: list[Json] = []
    if request.picture is not None:
        content.append({"type": "image_url", "image_url": {"url": _data_uri(request.picture)}})
    content.append({"type": "text", "text": request.prompt})
    body = {"messages": [{"role": "user", "content": content}], "timeout_s": TIMEOUT_S, **request.settings}
    started = time.monotonic()
    choices = _post(f"{url}/v1/chat/completions", body)
    picture, text = None, ""
    for content_of in choices:
        if isinstance(content_of, str):
            text = text or content_of
        elif picture is None:
            picture = _picture(content_of)
    return Answer(picture=picture, text=text, wall_s=time.monotonic() - started)


def _post(url: str, body: Json) -> list[object]:
    """The contents of the answer's choices."""
    post = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(post, timeout=TIMEOUT_S + 10) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise RequestFailed(f"{error.code}: {error.read(2000).decode(errors='replace')}") from error
    except OSError as error:
        raise RequestFailed(str(error)) from error
    return [choice["message"]["content"] for choice in answer["choices"]]


def _picture(content: object) -> Image.Image | None:
    match content:
        case [{"image_url": {"url": str() as uri}}, *_]:
            return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGB")
    return None


def _data_uri(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
