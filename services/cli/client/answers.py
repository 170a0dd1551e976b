"""What a stream of events says, typed. Both kinds of streams: chat completions and pictures."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.cli.client.gateway import Json, refusal
from services.cli.client.sse import Comment, Event
from services.cli.errors import EXIT_UNAVAILABLE, CommandError

DONE = "[DONE]"
_STEP = re.compile(r"(?:picture (\d+): )?step (\d+) of (\d+)")


@dataclass(frozen=True, slots=True)
class Note:
    """What the server tells people, such as a place in its queue."""

    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """Denoising steps done of one of the pictures."""

    picture: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """One of the pictures on the way, encoded; `index` counts its previews."""

    picture: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished picture, encoded."""

    picture: int
    data: bytes

    @classmethod
    def decoded(cls, picture: int, text: str) -> "Drawn":
        """From base64. Raises ValueError."""
        return cls(picture, base64.b64decode(text, validate=True))


@dataclass(frozen=True, slots=True)
class Piece:
    """More of the text, or of the thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The text is over: `stop`, or `length` when it was cut off."""

    reason: str


Happening = Note | Step | Preview | Drawn | Piece | Finish


def happenings(events: Iterable[Comment | Event]) -> Iterator[Happening]:
    """What a stream says, in order; events of other kinds are skipped. Raises CommandError."""
    for event in events:
        if isinstance(event, Comment):
            yield _told(event.text)
            continue
        if event.data == DONE:
            return
        try:
            said = list(_said(json.loads(event.data)))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            message = f"an event of the answer cannot be read ({type(error).__name__}: {error})"
            raise CommandError(message, exit_status=EXIT_UNAVAILABLE) from error
        yield from said


def picture_of(url: str) -> bytes:
    """The bytes of a data URI. Raises ValueError."""
    head, _, data = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise ValueError("a picture is no data URI")
    return base64.b64decode(data, validate=True)


def _told(comment: str) -> Note | Step:
    found = _STEP.fullmatch(comment)
    return Note(comment) if found is None else Step(int(found[1] or 1) - 1, int(found[2]), int(found[3]))


def _said(body: Json) -> Iterator[Happening]:
    if "error" in body:
        raise refusal(body)
    kind = str(body.get("type", ""))
    if kind.endswith(".partial_image"):
        data = base64.b64decode(body["b64_json"])
        yield Preview(body.get("image_index", 0), body["partial_image_index"], data)
    elif kind.endswith(".completed"):
        yield Drawn.decoded(body.get("image_index", 0), body["b64_json"])
    elif body.get("object") == "chat.completion.chunk":
        for choice in body["choices"]:
            yield from _of_choice(choice)


def _of_choice(choice: Json) -> Iterator[Happening]:
    delta = choice["delta"]
    if delta.get("content"):
        yield Piece(delta["content"])
    images = delta.get("images") or ()
    for image in images:
        yield Drawn(0, picture_of(image["image_url"]["url"]))
    if choice["finish_reason"] and not images:
        yield Finish(choice["finish_reason"])
