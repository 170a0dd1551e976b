"""Server-sent events from bytes. Pure; knows nothing of what the events say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that clients may skip."""

    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event; its data lines are joined by newlines."""

    name: str
    data: str


def read_events(chunks: Iterable[bytes]) -> Iterator[Comment | Event]:
    """Comments and events as they become whole; an event that the end cuts off is dropped."""
    name, data = "", list[str]()
    for line in _lines(chunks):
        if line.startswith(":"):
            yield Comment(line[1:].strip())
        elif line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field:
                case "event":
                    name = value
                case "data":
                    data.append(value)
        else:
            if data:
                yield Event(name, "\n".join(data))
            name, data = "", []


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines. Only newlines end them: `str.splitlines` would also cut at characters that a text may hold."""
    begun: list[bytes] = []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            begun.append(piece)
            yield b"".join(begun).removesuffix(b"\r").decode(errors="replace")
            begun.clear()
        begun.append(rest)
