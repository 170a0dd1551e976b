"""Further tries of a request whose stage was lost, and what its client has heard by then.

A try begins at the start; the same seed gives the same text and the same picture, so what was told before is left out.
"""

from bagel.logs import get_logger
from services.gateway.calls import Call
from services.gateway.errors import ApiError
from services.gateway.failures import Remedy, StageFailure
from services.gateway.happenings import Drawn, Happening, Preview, Progress, TextDelta, TextResult, TriedAgain
from services.gateway.stage import Stage

MAX_ATTEMPTS = 3


class Tries:
    """Counts the tries of a request; `failed` are the stages that lost it."""

    def __init__(self, call: Call) -> None:
        self.number = 1
        self.failed: list[Stage] = []
        self._call = call

    def again(self, failure: StageFailure) -> TriedAgain:
        """Begin another try. Raises ApiError when that would not help, DeadlineError."""
        if failure.remedy is Remedy.NONE or self.number == MAX_ATTEMPTS:
            raise failure.error from failure
        self._call.timeout_s()
        self.number += 1
        self.failed.append(failure.stage)
        get_logger().warning(
            "trying_again", stage=failure.stage.kind, address=failure.stage.address, attempt=self.number,
            remedy=failure.remedy.value, reason=str(failure),
        )  # fmt: skip
        return TriedAgain(failure.stage.kind, self.number)


class Told:
    """What a client has heard of its request."""

    def __init__(self) -> None:
        self._text, self._text_again = "", ""
        self._results = 0
        self._steps: dict[int, int] = {}
        self._previews: set[tuple[int, int]] = set()
        self._pictures: set[int] = set()

    def begin_text(self) -> None:
        """A text is written from its start."""
        self._text_again = ""

    def news(self, what: Happening) -> Happening | None:
        """What of a happening is new to the client. Raises ApiError when it contradicts what was told."""
        match what:
            case TextDelta(text=text):
                return self._more(text)
            case TextResult():
                self._results += 1
                return what if self._results == 1 else None
            case Progress(picture=picture, done=done):
                if done <= self._steps.get(picture, 0):
                    return None
                self._steps[picture] = done
            case Preview(picture=picture, index=index):
                if (picture, index) in self._previews:
                    return None
                self._previews.add((picture, index))
            case Drawn(index=index):
                if index in self._pictures:
                    return None
                self._pictures.add(index)
        return what

    def _more(self, text: str) -> TextDelta | None:
        self._text_again += text
        if self._text.startswith(self._text_again):
            return None
        if not self._text_again.startswith(self._text):
            message = "the thinker was lost in the middle of a text, and another one goes on differently; ask again"
            raise ApiError(status=503, message=message, type="server_error", code="stage_unavailable")
        new = self._text_again[len(self._text) :]
        self._text = self._text_again
        return TextDelta(new)
