"""How far a batch of prompts is, in bars on a terminal and in lines elsewhere; afterwards, where the seconds went."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.gateway.happenings import Happening, TextDelta
from services.gateway.happenings import Progress as Steps
from services.launch.offline_prompts import Made

SHOWN_CHARACTERS = 40
# Columns of the table, and what of a prompt's timings they add up.
_PHASES = {
    "queue": ("queue", "thinker_queue", "dit_queue"),
    "prefill": ("prefill",),
    "transfer": ("transfer", "load"),
    "denoise": ("denoise",),
    "decode": ("decode", "vae_decode", "encode"),
    "total": ("total",),
}


class Report:
    """A context manager for the time of a batch; on stderr."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts, self._done, self._errors = texts, 0, 0
        self._since_s = time.monotonic()
        self._bars: Progress | None = None
        self._all: TaskID | None = None
        self._each: dict[int, TaskID] = {}
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True))

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            self._all = self._bars.add_task("prompts", total=len(self._texts))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def watch(self, index: int, what: Happening) -> None:
        """What happens to a prompt. From any thread."""
        if self._bars is None or not isinstance(what, Steps | TextDelta):
            return
        if index not in self._each:
            self._each[index] = self._bars.add_task(f"  {shown(self._texts[index])}", total=None)
        if isinstance(what, Steps):
            self._bars.update(self._each[index], completed=what.done, total=what.total)
        else:
            self._bars.advance(self._each[index])

    def finish(self, made: Made, saved: str | None) -> None:
        """A prompt is over; `saved` is where its picture lies."""
        self._done += 1
        if self._bars is not None and self._all is not None:
            self._bars.advance(self._all)
            if made.index in self._each:
                self._bars.remove_task(self._each.pop(made.index))
            if made.error is None:
                return
        what = made.error and f"failed: {made.error}"
        what = what or (f"{saved} ({made.width} x {made.height}, seed {made.seed})" if saved else "answered")
        seconds = time.monotonic() - self._since_s
        line = f"[{self._done}/{len(self._texts)}] {seconds:.1f} s  {shown(made.prompt.text)}: {what}"
        if self._bars is not None:
            self._bars.console.print(line, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)


def statistics(made: Sequence[Made], wall_s: float) -> Table:
    """Seconds by phase of every prompt that was answered, in order."""
    answered = sorted((each for each in made if each.error is None), key=lambda each: each.index)
    pictures = sum(each.picture is not None for each in answered)
    kind, count = ("pictures", pictures) if pictures else ("texts", len(answered))
    table = Table(
        title=f"{len(answered)} of {len(made)} prompts in {wall_s:.2f} s: {count / wall_s:.2f} {kind}/s",
        caption="seconds; a prompt's own phases can lie beside those of others",
    )
    table.add_column("#", justify="right")
    table.add_column("prompt", overflow="ellipsis", no_wrap=True)
    for name in _PHASES:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for each in answered:
        seconds = (sum(each.timings_s.get(name, 0.0) for name in names) for names in _PHASES.values())
        table.add_row(str(each.index + 1), shown(each.prompt.text), *(f"{value:.3f}" for value in seconds))
    return table


def shown(text: str) -> str:
    """The beginning of a prompt, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
