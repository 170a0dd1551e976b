"""Pictures before and after a change, as facts."""

from dataclasses import dataclass
from enum import StrEnum

from training.world.scene import Scene


class EditKind(StrEnum):
    """What an edit changes; everything else stays."""

    RECOLOR = "recolor"  # the colour of a thing; of a person the clothes
    ADD = "add"  # the last thing of `after` is new
    REMOVE = "remove"
    MOVE = "move"  # to another spot of the canvas
    BACKDROP = "backdrop"
    POSE = "pose"  # an animal sits down or stands up
    REPLACE = "replace"  # a thing becomes another kind, its colour and place stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """`target` is the changed thing's index: in `after` when added, else in `before`; None for backdrops."""

    kind: EditKind
    before: Scene
    after: Scene
    target: int | None
