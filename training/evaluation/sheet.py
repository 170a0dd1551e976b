"""All pictures of a run on one contact sheet: green frames are right, red ones wrong."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from training.evaluation.outcomes import Outcome, input_picture
from training.evaluation.tasks import Section

_SIDE, _FRAME, _GAP = 96, 3, 4
_COLUMNS = 12
_TITLE = 20
_RIGHT, _WRONG, _PAPER, _INK = (40, 170, 70), (220, 40, 40), (250, 250, 250), (20, 20, 20)
_CELL = _SIDE + 2 * _FRAME + _GAP


def write_sheet(path: Path, outcomes: Sequence[Outcome]) -> None:
    """PNG; edits stand as pairs of before and after. Outcomes without a picture are left out."""
    drawn = [outcome for outcome in outcomes if outcome.answer is not None and outcome.answer.picture is not None]
    groups = [(s, [o for o in drawn if o.task.section is s]) for s in Section]
    groups = [(section, own) for section, own in groups if own]
    height = sum(_TITLE + _rows(section, len(own)) * _CELL for section, own in groups) + _GAP
    sheet = Image.new("RGB", (_COLUMNS * _CELL + _GAP, max(height, _CELL)), _PAPER)
    top = _GAP
    for section, own in groups:
        right = sum(outcome.verdict.ok for outcome in own)
        ImageDraw.Draw(sheet).text((_GAP, top + 3), f"{section}: {right} of {len(own)}", fill=_INK)
        top += _TITLE
        for i, outcome in enumerate(own):
            row, column = divmod(i, _per_row(section))
            _place(sheet, outcome, _GAP + column * _width(section) * _CELL, top + row * _CELL)
        top += _rows(section, len(own)) * _CELL
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def _place(sheet: Image.Image, outcome: Outcome, left: int, top: int) -> None:
    assert outcome.answer is not None
    pictures = [p for p in (input_picture(outcome.task), outcome.answer.picture) if p is not None]
    width = len(pictures) * _SIDE + 2 * _FRAME
    color = _RIGHT if outcome.verdict.ok else _WRONG
    ImageDraw.Draw(sheet).rectangle((left, top, left + width - 1, top + _SIDE + 2 * _FRAME - 1), fill=color)
    for i, picture in enumerate(pictures):
        small = picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        sheet.paste(small, (left + _FRAME + i * _SIDE, top + _FRAME))


def _width(section: Section) -> int:
    """Of an outcome, in cells."""
    return 2 if section is Section.EDITS else 1


def _per_row(section: Section) -> int:
    return _COLUMNS // _width(section)


def _rows(section: Section, count: int) -> int:
    return -(-count // _per_row(section))
