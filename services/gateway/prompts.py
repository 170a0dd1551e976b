"""Messages -> the segments that the model sees: plain OpenAI messages and the raw prompts of BAGEL users alike.

Pure. The model never saw roles, so their names are dropped; markers around a text are put there by the Thinker, so
they are taken off here and never doubled. `<|image_pad|>` marks where a picture goes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bagel.errors import RequestError

IMAGE_PAD = "<|image_pad|>"
_BOS, _EOS = "<|im_start|>", "<|im_end|>"
# What other models' templates put around a picture's place.
_FRAMED_PAD = re.compile(r"(?:<\|vision_start\|>)?<\|image_pad\|>(?:<\|vision_end\|>)?")
_ROLE = re.compile(r"(?:system|developer|user|assistant)\n")
_MARKER = re.compile(r"<\|im_start\|>|<\|im_end\|>")


@dataclass(frozen=True, slots=True)
class Text:
    """A text segment; `raw` is taken token by token."""

    text: str
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's place: the index of the request's picture."""

    index: int


Segment = Text | Picture


def message_segments(parts: Sequence[str | Picture], *, raw: bool, param: str) -> list[Segment]:
    """Segments of one message from its parts in order; texts are strings. Raises RequestError."""
    texts = [part for part in parts if isinstance(part, str)]
    pictures = [part for part in parts if isinstance(part, Picture)]
    if any(IMAGE_PAD in text for text in texts):
        return _placed(texts, pictures, raw=raw, param=param)
    segments: list[Segment] = []
    for part in parts:
        if isinstance(part, Picture):
            segments.append(part)
        else:
            segments += [Text(part, raw=True)] if raw else [Text(text) for text in unwrap(part)]
    return segments if raw else _pictures_before_one_text(segments)


def unwrap(text: str) -> list[str]:
    """The texts in a prompt that may carry markers and role names: one for each marked block, blank ones dropped."""
    if not _MARKER.search(text):
        return [text] if text.strip() else []
    found = []
    opened = False
    for piece in re.split(r"(<\|im_start\|>|<\|im_end\|>)", text):
        if piece in (_BOS, _EOS):
            opened = piece == _BOS
            continue
        if opened:
            piece = _ROLE.sub("", piece, count=1) if _ROLE.match(piece) else piece
        if piece.strip():
            found.append(piece if opened else piece.strip("\n"))
    return found


def negative_text(prompt: str) -> str | None:
    """A negative prompt without markers; None when nothing is left of it."""
    return " ".join(unwrap(prompt)) or None


def _pictures_before_one_text(segments: list[Segment]) -> list[Segment]:
    """One text and pictures: the pictures come first, as in the official app; else no text guidance would be left."""
    if sum(isinstance(segment, Text) for segment in segments) != 1:
        return segments
    return sorted(segments, key=lambda segment: isinstance(segment, Text))


def _placed(texts: Sequence[str], pictures: Sequence[Picture], *, raw: bool, param: str) -> list[Segment]:
    """Put pictures where `<|image_pad|>` stands; pictures without a place come first."""
    pads = sum(text.count(IMAGE_PAD) for text in texts)
    if pads > len(pictures):
        raise RequestError(
            f"{param}: the prompt has {pads} times {IMAGE_PAD}, the message holds {len(pictures)} pictures", param=param
        )
    unplaced = len(pictures) - pads
    segments: list[Segment] = list(pictures[:unplaced])
    waiting = iter(pictures[unplaced:])
    for text in texts:
        if raw:
            segments += _split_raw(text, waiting)
            continue
        for block in unwrap(text):
            for index, piece in enumerate(_FRAMED_PAD.split(block)):
                if index:
                    segments.append(next(waiting))
                if piece.strip():
                    segments.append(Text(piece.strip("\n")))
    return segments if raw else _pictures_before_one_text(segments)


def _split_raw(text: str, waiting: Iterator[Picture]) -> list[Segment]:
    segments: list[Segment] = []
    for index, piece in enumerate(text.split(IMAGE_PAD)):
        if index:
            segments.append(next(waiting))
        if piece:
            segments.append(Text(piece, raw=True))
    return segments
