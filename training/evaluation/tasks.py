"""The 400 tasks: held-out combinations in held-out wordings, always the same. Knows neither the model nor the judge's
verdicts on it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from training.evaluation.measurable import measurable_edit, measurable_scene
from training.judge.pictures import Asked
from training.language.captions import Detail, caption
from training.language.descriptions import describe
from training.language.instructions import instruction
from training.language.plain import PlainKind, plain
from training.language.question_templates import QuestionKind
from training.language.questions import ask, possible
from training.language.split import Split
from training.world.edits import Edit, EditKind
from training.world.sample import Layout, Pool, sample_scene
from training.world.sample_edits import sample_edit
from training.world.scene import Scene

SEED = 20_250_101
MAX_TRIES = 2000


class Section(StrEnum):
    """What is measured, by its key in the report."""

    SINGLE = "text2img_single"
    COMPOSED = "text2img_composed"
    EDITS = "img2img"
    CAPTIONS = "captions"
    VQA = "vqa"
    TEXT = "text"
    THINK = "think"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request and what its answer should be.

    `scene` is what a picture should show (text2img, think) or what the picture in question shows (captions, vqa);
    `answer` is the expected text of vqa and text; `group` names a row of the detailed tables.
    """

    section: Section
    number: int
    group: str
    prompt: str
    scene: Scene | None = None
    edit: Edit | None = None
    answer: str | None = None
    asked: Asked = field(default_factory=Asked)

    @property
    def name(self) -> str:
        """Unique among all tasks."""
        return f"{self.section}-{self.number:03d}"

    @property
    def seed(self) -> int:
        """Of the picture's noise."""
        return 1000 + self.number


_SINGLES = (("plain", True, 80), ("place", False, 20))  # group, plain backdrop, how many
_COMPOSED = ((Layout.PAIR, 30), (Layout.COUNT, 15), (Layout.THREE, 15))
_EDITS = {
    EditKind.RECOLOR: (11, 3), EditKind.ADD: (9, 2), EditKind.REMOVE: (8, 2), EditKind.MOVE: (9, 2),
    EditKind.BACKDROP: (10, 3), EditKind.POSE: (8, 2), EditKind.REPLACE: (9, 2),
}  # fmt: skip  # with plain backdrops, with landscapes
_CAPTIONS = (Layout.SINGLE,) * 4 + (Layout.PAIR, Layout.COUNT, Layout.THREE, Layout.LANDSCAPE)
_CAPTION_COUNT, _VQA_COUNT, _TEXT_COUNT = 40, 50, 40
_THINK = ((Layout.SINGLE, 18), (Layout.PAIR, 8), (Layout.COUNT, 4))


def all_tasks(sections: Sequence[Section] = tuple(Section), limit: int | None = None) -> list[Task]:
    """The tasks of some sections, at most `limit` of each at random. Takes half a minute for all."""
    make: dict[Section, Callable[[Random], list[Task]]] = {
        Section.SINGLE: _singles,
        Section.COMPOSED: lambda rng: _drawn(rng, Section.COMPOSED, _COMPOSED),
        Section.EDITS: _edits,
        Section.CAPTIONS: _captions,
        Section.VQA: _questions,
        Section.TEXT: _texts,
        Section.THINK: lambda rng: _drawn(rng, Section.THINK, _THINK),
    }
    chosen: list[Task] = []
    for section in sections:
        tasks = make[section](Random(f"{SEED} {section}"))
        chosen += tasks if limit is None else Random(0).sample(tasks, min(limit, len(tasks)))
    return chosen


def _singles(rng: Random) -> list[Task]:
    tasks: list[Task] = []
    for group, is_plain, count in _SINGLES:
        for _ in range(count):
            tasks.append(_picture(rng, Section.SINGLE, len(tasks), Layout.SINGLE, plain_backdrop=is_plain, group=group))
    return tasks


def _drawn(rng: Random, section: Section, layouts: Sequence[tuple[Layout, int]]) -> list[Task]:
    tasks: list[Task] = []
    for layout, count in layouts:
        for _ in range(count):
            tasks.append(_picture(rng, section, len(tasks), layout, plain_backdrop=True, group=layout.value))
    return tasks


def _picture(rng: Random, section: Section, number: int, layout: Layout, *, plain_backdrop: bool, group: str) -> Task:
    for _ in range(MAX_TRIES):
        scene = sample_scene(rng, layout, Pool.HELD_OUT)
        if (scene.backdrop.color is not None) is not plain_backdrop:
            continue
        prompt = caption(scene, rng, Split.HELD_OUT, Detail.FULL)
        words = set(re.findall(r"[a-z]+", prompt.lower()))
        asked = Asked(poses=bool(words & {"sitting", "standing"}), order=layout is Layout.THREE and "left" in words)
        if measurable_scene(scene, asked, rng):
            return Task(section=section, number=number, group=group, prompt=prompt, scene=scene, asked=asked)
    raise RuntimeError(f"no measurable {layout.value} within {MAX_TRIES} tries")


def _edits(rng: Random) -> list[Task]:
    tasks: list[Task] = []
    for kind, counts in _EDITS.items():
        for is_plain, count in zip((True, False), counts, strict=True):
            for _ in range(count):
                edit = _edit(rng, kind, is_plain)
                prompt = instruction(edit, rng, Split.HELD_OUT)
                tasks.append(Task(section=Section.EDITS, number=len(tasks), group=kind.value, prompt=prompt, edit=edit))
    return tasks


def _edit(rng: Random, kind: EditKind, is_plain: bool) -> Edit:
    for _ in range(MAX_TRIES):
        edit = sample_edit(rng, kind, Pool.HELD_OUT)
        plain_both = edit.before.backdrop.color is not None and edit.after.backdrop.color is not None
        if plain_both is is_plain and measurable_edit(edit, rng):
            return edit
    raise RuntimeError(f"no measurable {kind} within {MAX_TRIES} tries")


def _captions(rng: Random) -> list[Task]:
    tasks = []
    for number in range(_CAPTION_COUNT):
        layout = _CAPTIONS[number % len(_CAPTIONS)]
        scene = sample_scene(rng, layout, Pool.HELD_OUT)
        prompt, answer = describe(scene, rng, Split.HELD_OUT)
        tasks.append(
            Task(section=Section.CAPTIONS, number=number, group=layout.value, prompt=prompt, scene=scene, answer=answer)
        )
    return tasks


def _questions(rng: Random) -> list[Task]:
    """Every kind of question about as often."""
    tasks: list[Task] = []
    kinds = tuple(QuestionKind)
    layouts = [layout for layout in _CAPTIONS if layout is not Layout.LANDSCAPE]
    while len(tasks) < _VQA_COUNT:
        kind = kinds[len(tasks) % len(kinds)]
        scene = sample_scene(rng, rng.choice(layouts), Pool.HELD_OUT)
        if kind in possible(scene):
            prompt, answer = ask(scene, rng, Split.HELD_OUT, kind)
            task = Task(
                section=Section.VQA, number=len(tasks), group=kind.value, prompt=prompt, scene=scene, answer=answer
            )
            tasks.append(task)
    return tasks


def _texts(rng: Random) -> list[Task]:
    """Every kind of question about as often, none twice while there are others."""
    tasks: list[Task] = []
    kinds = tuple(PlainKind)
    prompts: set[str] = set()
    for number in range(_TEXT_COUNT):
        kind = kinds[number % len(kinds)]
        prompt, answer = plain(rng, Split.HELD_OUT, kind)
        for _ in range(20):
            if prompt not in prompts:
                break
            prompt, answer = plain(rng, Split.HELD_OUT, kind)
        prompts.add(prompt)
        tasks.append(Task(section=Section.TEXT, number=number, group=kind.value, prompt=prompt, answer=answer))
    return tasks
