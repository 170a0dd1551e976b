"""Laying one tree over another: mappings key by key, stages by their stage_id, anything else replaced. Pure."""

from collections.abc import Mapping

from bagel.errors import ConfigError
from services.launch.deploy.document import Node, Problem

STAGES = "stages"
STAGE_ID = "stage_id"


def merge(base: Node, over: Node) -> Node:
    """`base` with what `over` says in its place; what is said keeps the place where it was said."""
    if not isinstance(base.value, Mapping) or not isinstance(over.value, Mapping):
        return over
    merged = dict(base.entries)
    for key, node in over.entries.items():
        if key not in merged:
            merged[key] = node
        elif key == STAGES:
            merged[key] = _merge_stages(merged[key], node)
        else:
            merged[key] = merge(merged[key], node)
    return Node(merged, over.place if over.value else base.place)


def without(node: Node, *keys: str) -> Node:
    """A mapping without some keys."""
    return Node({key: value for key, value in node.entries.items() if key not in keys}, node.place)


def twice(document: Node) -> list[Problem]:
    """Stages that one list names twice."""
    found, seen = [], set()
    for stage in _stages(document):
        stage_id = _stage_id(stage)
        if stage_id in seen:
            place = stage.place_of((STAGE_ID,))
            found.append(Problem(place, f"stage {stage_id} stands there twice; put it together in one entry"))
        seen.add(stage_id)
    return found


def stage_node(document: Node, stage_id: int) -> Node | None:
    """What a document says of a stage."""
    return next((stage for stage in _stages(document) if _stage_id(stage) == stage_id), None)


def _stages(document: Node) -> tuple[Node, ...]:
    node = document.entries.get(STAGES)
    return () if node is None else node.items


def _merge_stages(base: Node, over: Node) -> Node:
    changes = {_stage_id(stage): stage for stage in over.items}
    merged = [merge(stage, changes.pop(_stage_id(stage), Node({}, stage.place))) for stage in base.items]
    return Node((*merged, *changes.values()), over.place)


def _stage_id(stage: Node) -> int:
    """Raises ConfigError for trees that no schema has seen."""
    value = stage.entries[STAGE_ID].value if STAGE_ID in stage.entries else None
    if not isinstance(value, int):
        raise ConfigError(f"{stage.place}: a stage needs its stage_id, a number")
    return value
