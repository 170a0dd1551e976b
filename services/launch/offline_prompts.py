"""A prompt's way through the gateway's own code: parsed, bounded and answered as a request over HTTP is."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from PIL import UnidentifiedImageError

from bagel.errors import BagelError, RequestError
from bagel.images import open_checked
from services.gateway.calls import Call
from services.gateway.errors import ApiError
from services.gateway.happenings import Happening, ImageResult, TextResult
from services.gateway.pipeline import run
from services.gateway.request_ids import new_request_id
from services.gateway.responses import Answer
from services.gateway.sampling_defaults import SamplingDefaults
from services.gateway.schemas import parse_chat_request
from services.gateway.stages import Stages
from services.gateway.tasks import Task, make_task

_PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}  # a picture's place; its bytes travel beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One request. `settings` are fields of a chat completion (docs/limits.md)."""

    text: str
    draws: bool  # a picture, else a text
    pictures: Sequence[bytes] = ()  # encoded files
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of a prompt: a text (of one that thinks and draws, its thought), a picture, or an error."""

    index: int
    prompt: Prompt
    text: str = ""
    picture: bytes | None = None  # an encoded file
    width: int = 0
    height: int = 0
    seed: int = 0
    timings_s: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


Watch = Callable[[int, Happening], None]


def check_picture(data: bytes, name: str) -> None:
    """Raise RequestError unless it is a picture that a prompt may have."""
    try:
        open_checked(data, param=name)
    except RequestError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            # Pillow's own words tell nothing but an address in memory.
            raise RequestError(f"{name}: is no PNG, JPEG or WebP file") from None
        raise


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers prompts, `room` of them at once. Needs a running event loop."""

    stages: Stages
    sampling: SamplingDefaults
    timeout_s: float
    room: asyncio.Semaphore
    watch: Watch

    async def answer(self, index: int, prompt: Prompt) -> Made:
        """What becomes of it. Raises nothing that a prompt can be the reason of."""
        submitted_s = time.monotonic()
        async with self.room:
            try:
                task = await asyncio.to_thread(self._task, prompt)
                return await self._run(index, prompt, task, submitted_s)
            except (ApiError, BagelError) as error:
                return Made(index=index, prompt=prompt, error=str(error))

    def _task(self, prompt: Prompt) -> Task:
        """Raises ApiError, RequestError naming the field."""
        content = [*(_PICTURE for _ in prompt.pictures), {"type": "text", "text": prompt.text}]
        request = parse_chat_request(
            {
                "messages": [{"role": "user", "content": content}],
                "modalities": ["image" if prompt.draws else "text"],
                **prompt.settings,
            }
        )
        if request.stream or request.timeout_s is not None:
            raise RequestError("settings: stream and timeout_s mean nothing without a server", param="settings")
        return make_task(request, prompt.pictures, self.stages.limits(), self.sampling)

    async def _run(self, index: int, prompt: Prompt, task: Task, submitted_s: float) -> Made:
        begun_s = time.monotonic()
        call = Call(new_request_id(""), begun_s + self.timeout_s)
        answer = Answer(call.request_id, self.stages.model().name, task, started_s=submitted_s)
        answer.queue_s = begun_s - submitted_s
        text: TextResult | None = None
        image: ImageResult | None = None
        async with aclosing(run(task, self.stages, call)) as happening:
            async for what in happening:
                self.watch(index, what)
                match what:
                    case TextResult():
                        text = what
                    case ImageResult():
                        image = what
        timings_s: Mapping[str, float] = answer.figures(text, image)["timings_s"]
        said = "" if text is None else text.text
        if image is None:
            return Made(index=index, prompt=prompt, text=said, seed=task.seed, timings_s=timings_s)
        drawn = image.pictures[0]
        return Made(
            index=index, prompt=prompt, text=said, picture=drawn.data, width=drawn.width, height=drawn.height,
            seed=drawn.seed, timings_s=timings_s,
        )  # fmt: skip
