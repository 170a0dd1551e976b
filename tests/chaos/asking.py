"""Pictures and texts asked for without end, each held against what the same request gave in peace."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.server import picture, read_picture, read_text, scene, text, user

TIMEOUT_S = 120.0
AT_ONCE = 4
_DRAW: dict[str, Any] = {"modalities": ["image"], "height": 256, "width": 256}
_PHOTO = picture(scene(192, 128))
BODIES: tuple[dict[str, Any], ...] = (
    {**_DRAW, "messages": user("A red circle"), "num_inference_steps": 24, "seed": 1},
    {**_DRAW, "messages": user("A cute cat"), "num_inference_steps": 20, "seed": 2, "negative_prompt": "blurry"},
    {**_DRAW, "messages": user(_PHOTO, text("Make the background blue")), "num_inference_steps": 16, "seed": 3},
    {**_DRAW, "messages": user("A green star"), "num_inference_steps": 16, "seed": 4, "think": True},
)
TEXTS: tuple[dict[str, Any], ...] = (
    {"messages": user("What is the capital of France?")},
    {"messages": user(_PHOTO, text("Describe this image in detail"))},
)


@dataclass(slots=True)
class Asking:
    """Answers so far, and what was wrong with them."""

    calm: list[object]
    bodies: tuple[dict[str, Any], ...]
    answered: int = 0
    slowest_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    def check(self, number: int, response: httpx.Response | Exception, seconds: float) -> None:
        """Count one answer."""
        self.slowest_s = max(self.slowest_s, seconds)
        if isinstance(response, Exception):
            self.faults[f"{type(response).__name__}: {response}"] += 1
        elif response.status_code != 200:
            self.faults[f"{response.status_code} {response.text[:200]}"] += 1
        elif answer_of(response) != self.calm[number]:
            self.faults[f"another answer to request {number}"] += 1
        else:
            self.answered += 1


def answer_of(response: httpx.Response) -> object:
    """What must be the same every time."""
    body = response.json()
    contents = [choice["message"]["content"] for choice in body["choices"]]
    texts = [content for content in contents if isinstance(content, str)]
    return (read_picture(body), *texts) if len(texts) < len(contents) else read_text(body)


@asynccontextmanager
async def asked(url: str, bodies: tuple[dict[str, Any], ...]) -> AsyncIterator[Asking]:
    """Requests of all kinds in turn, some at once, for the time of a block; those under way are waited for."""
    over = asyncio.Event()
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as http:
        calm = [answer_of((await _post(http, body)).raise_for_status()) for body in bodies]
        asking = Asking(calm, bodies)

        async def ask(number: int) -> None:
            while not over.is_set():
                kind, number = number % len(bodies), number + 1
                started = time.monotonic()
                try:
                    response: httpx.Response | Exception = await _post(http, bodies[kind])
                except httpx.HTTPError as error:
                    response = error
                asking.check(kind, response, time.monotonic() - started)

        workers = [asyncio.create_task(ask(number)) for number in range(AT_ONCE)]
        try:
            yield asking
        finally:
            over.set()
            await asyncio.gather(*workers)


async def _post(http: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await http.post("/v1/chat/completions", json=body)
