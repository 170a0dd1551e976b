"""Outcomes as figures: fractions against their bars, by kind, as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.evaluation.outcomes import Outcome, Sampling
from training.evaluation.tasks import Section

BARS: dict[Section, float] = {
    Section.SINGLE: 0.95,
    Section.COMPOSED: 0.85,
    Section.EDITS: 0.90,
    Section.CAPTIONS: 0.95,
    Section.VQA: 0.95,
    Section.TEXT: 0.98,
    Section.THINK: 0.90,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many of some tasks are right."""

    right: int
    total: int

    @property
    def fraction(self) -> float:
        """0..1."""
        return self.right / self.total


def score(outcomes: Sequence[Outcome]) -> Score:
    """Of at least one outcome."""
    return Score(right=sum(outcome.verdict.ok for outcome in outcomes), total=len(outcomes))


def by_section(outcomes: Sequence[Outcome]) -> dict[Section, Score]:
    """Of the sections that were run."""
    present = {outcome.task.section for outcome in outcomes}
    return {s: score([o for o in outcomes if o.task.section is s]) for s in Section if s in present}


def by_group(outcomes: Sequence[Outcome], section: Section) -> dict[str, Score]:
    """Of a section's layouts or kinds."""
    own = [outcome for outcome in outcomes if outcome.task.section is section]
    return {g: score([o for o in own if o.task.group == g]) for g in dict.fromkeys(o.task.group for o in own)}


def bars_missed(scores: dict[Section, Score]) -> list[Section]:
    """The sections below their bar."""
    return [section for section, own in scores.items() if own.fraction < BARS[section]]


def print_table(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Sections with their bars, and their groups below them."""
    table = Table("", "right", "of", "share", "bar", "", title="toy-eval")
    missed = bars_missed(scores := by_section(outcomes))
    for section, own in scores.items():
        state = "[red]below[/red]" if section in missed else "[green]met[/green]"
        bar = f"{BARS[section]:.0%}"
        table.add_row(f"[bold]{section}[/bold]", str(own.right), str(own.total), f"{own.fraction:.1%}", bar, state)
        groups = by_group(outcomes, section)
        for group, part in groups.items() if len(groups) > 1 else ():
            table.add_row(f"  {group}", str(part.right), str(part.total), f"{part.fraction:.0%}", "", "", style="dim")
    console.print(table)


def write_json(path: Path, outcomes: Sequence[Outcome], sampling: Sampling, wall_s: float) -> None:
    """Fractions by section at the top level; `groups`, `settings` and `details` beside them."""
    scores = by_section(outcomes)
    report = {section.value: round(own.fraction, 4) for section, own in scores.items()} | {
        "bars": {section.value: BARS[section] for section in scores},
        "groups": {
            section.value: {group: [part.right, part.total] for group, part in by_group(outcomes, section).items()}
            for section in scores
        },
        "settings": {"num_inference_steps": sampling.steps, "cfg_text_scale": sampling.text_scale},
        "seconds": round(wall_s, 1),
        "details": [_detail(outcome) for outcome in outcomes],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _detail(outcome: Outcome) -> dict[str, object]:
    task, answer = outcome.task, outcome.answer
    return {
        "task": task.name,
        "group": task.group,
        "prompt": task.prompt,
        "seed": task.seed,
        "expected": task.answer,
        "text": answer.text if answer else None,
        "ok": outcome.verdict.ok,
        "reasons": list(outcome.verdict.reasons),
        "seconds": round(answer.wall_s, 3) if answer else None,
    }
