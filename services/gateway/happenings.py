"""What happens to a request on its way, as endpoints tell it. Knows nothing of HTTP."""

from dataclasses import dataclass

from bagel.v1 import dit_pb2, thinker_pb2


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place in the line, 0 for the next; seconds until it begins, as far as is known."""

    position: int
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Admitted:
    """The wait in the line is over; one that did not wait hears nothing of it."""

    queue_s: float


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer, or of the thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
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
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class TextResult:
    """The whole answer, or the whole thought."""

    text: str
    finish_reason: str
    work: thinker_pb2.ThinkerWork


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished picture, encoded."""

    index: int
    data: bytes
    height: int
    width: int
    seed: int


@dataclass(frozen=True, slots=True)
class ImageResult:
    """Every picture of a request, and what they cost."""

    pictures: tuple[Drawn, ...]
    thinker: thinker_pb2.ThinkerWork
    fetched: dit_pb2.Fetched
    dit: dit_pb2.DitDone
    unique_bytes: int
    unique_pages: int


@dataclass(frozen=True, slots=True)
class TriedAgain:
    """A stage was lost with the request, and another one takes it; `attempt` counts from 1."""

    stage: str
    attempt: int


Happening = Waiting | Admitted | TextDelta | TextResult | Progress | Preview | Drawn | ImageResult | TriedAgain
