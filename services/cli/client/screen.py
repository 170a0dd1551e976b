"""What people see while pictures are drawn: steps, time left, previews. On stderr, where that is a terminal."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.style import Style
from rich.text import Text

PREVIEW_COLUMNS, PREVIEW_ROWS = 48, 20
REFRESHES_A_SECOND = 10
UPPER_HALF = "▀"


class Screen:
    """One drawing on the terminal; every method may be called without one, and does nothing then."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console)
        self._tasks: dict[int, TaskID] = {}
        self._preview: Text | None = None
        self._note = Text("waiting for the server", style="dim")
        self._live: Live | None = None
        self._thinking = False

    @property
    def shows_pictures(self) -> bool:
        """Whether it is a terminal with colours."""
        return self._console.is_terminal and self._console.color_system is not None

    @contextmanager
    def shown(self) -> Iterator["Screen"]:
        """On the terminal for the time of a block; nothing of it stays there."""
        live = Live(
            get_renderable=self._render, console=self._console, transient=True, refresh_per_second=REFRESHES_A_SECOND,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live = live
        try:
            if self._console.is_terminal:
                live.start()
            yield self
        finally:
            live.stop()

    def note(self, text: str) -> None:
        """What the server tells people."""
        self._note = Text(printable(text), style="dim")

    def thought(self, piece: str) -> None:
        """More of a thought, which stays on the terminal."""
        if self._live is not None and not self._thinking:
            self._live.stop()  # a text that grows and a picture of the terminal do not go together
        self._thinking = True
        sys.stderr.write(printable(piece) if self._console.is_terminal else piece)
        sys.stderr.flush()

    def step(self, picture: int, done: int, total: int) -> None:
        """One more step of a picture is done."""
        if self._thinking:
            self._thinking = False
            sys.stderr.write("\n")
            if self._live is not None and self._console.is_terminal:
                self._live.start()
        if picture not in self._tasks:
            self._note = Text()
            label = "drawing" if self._count == 1 else f"picture {picture + 1} of {self._count}"
            self._tasks[picture] = self._progress.add_task(label, total=total)
        self._progress.update(self._tasks[picture], completed=done)

    def preview(self, data: bytes) -> None:
        """A picture on the way."""
        if self.shows_pictures:
            self._preview = half_blocks(data)

    def finished(self, data: bytes) -> None:
        """A picture, which stays on the terminal."""
        self._preview = None
        if self.shows_pictures:
            self._console.print(half_blocks(data))

    def _render(self) -> RenderableType:
        # Drawn from another thread: each part is replaced whole.
        preview, note = self._preview, self._note
        parts: list[RenderableType] = [part for part in (preview, note) if part]
        return Group(*parts, self._progress.get_renderable())


def half_blocks(data: bytes) -> Text:
    """A picture in characters of two pixels each, the upper one in front of the lower one."""
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
    small.thumbnail((PREVIEW_COLUMNS, 2 * PREVIEW_ROWS))
    small = small.crop((0, 0, small.width, small.height + small.height % 2))  # an odd one gets a black row
    text = Text(no_wrap=True)
    for y in range(0, small.height, 2):
        for x in range(small.width):
            text.append(UPPER_HALF, Style(color=_color(small, x, y), bgcolor=_color(small, x, y + 1)))
        if y + 2 < small.height:
            text.append("\n")
    return text


def printable(text: str) -> str:
    """A text that changes nothing about the terminal it is written to."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def _color(image: Image.Image, x: int, y: int) -> Color:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple), "an RGB picture has three numbers a pixel"
    return Color.from_rgb(*pixel[:3])
