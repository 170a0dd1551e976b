"""The four tasks by name, and which of them a stage takes. Pure."""

from collections.abc import Iterable
from enum import Enum

from bagel.contexts import Output
from bagel.errors import ConfigError


class TaskKind(Enum):
    """What goes in, and what comes out."""

    TEXT2TEXT = "text2text"
    IMG2TEXT = "img2text"
    TEXT2IMG = "text2img"
    IMG2IMG = "img2img"

    @property
    def sees(self) -> bool:
        """Whether pictures go in."""
        return self in (TaskKind.IMG2TEXT, TaskKind.IMG2IMG)

    @property
    def draws(self) -> bool:
        """Whether a picture comes out."""
        return self in (TaskKind.TEXT2IMG, TaskKind.IMG2IMG)


def task_of(output: Output, *, pictures: bool) -> TaskKind:
    """The task of a request, by what it wants and whether it brings pictures."""
    if output is Output.IMAGE:
        return TaskKind.IMG2IMG if pictures else TaskKind.TEXT2IMG
    return TaskKind.IMG2TEXT if pictures else TaskKind.TEXT2TEXT


def read_tasks(text: str) -> tuple[TaskKind, ...]:
    """`text2text,img2text` and the like, each once, in the order of `TaskKind`. Raises ConfigError."""
    names = [name.strip() for name in text.split(",")]
    known = {kind.value: kind for kind in TaskKind}
    for name in names:
        if name not in known:
            raise ConfigError(f"--tasks {text}: {name!r} is no task; take some of {', '.join(known)}, with commas")
    return tuple(kind for kind in TaskKind if kind.value in names)


def task_names(tasks: Iterable[TaskKind]) -> list[str]:
    """Their names, for messages and people."""
    return [task.value for task in tasks]
