"""Connectors and the stages that use them: whether each can be read, and the form in which stages read them.

What the keys mean is the transport's affair, which reads every connector here as it will in the stages.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from bagel.errors import ConfigError
from services.launch.deploy.document import Node, Place, Problem
from services.launch.deploy.merging import stage_node
from services.launch.deploy.schema import DeployPart
from transport.connectors import StageConnectors, stage_connectors

EDGES = ("input_connectors", "output_connectors")
_LINK = "from"


def check_links(document: Node, part: DeployPart) -> Iterator[Problem]:
    """Every connector with its keys, and every name that a stage uses."""
    named = part.connectors or {}
    for name, entry in named.items():
        try:
            _read(name, entry)
        except ConfigError as error:
            yield Problem(_place(document, name, str(error)), str(error))
    for fields in part.stages or []:
        node = stage_node(document, fields.stage_id)
        assert node is not None
        for edge in EDGES:
            for link, names in (getattr(fields, edge) or {}).items():
                missing = [name for name in names if name not in named]
                if missing:
                    known = f"there are {', '.join(named)}" if named else "none is"
                    what = f"{edge}.{link} names {missing[0]!r}, which is not defined under connectors; {known}"
                    yield Problem(node.place_of((edge, link)), what)


def links_of(part: DeployPart, stage_id: int) -> StageConnectors | None:
    """The planes of a stage, as it will read them; None when nothing is said of it."""
    return stage_connectors(_document(part), stage_id)


def links_yaml(part: DeployPart) -> str | None:
    """The file that stages read; None when nothing is said."""
    document = _document(part)
    used = any(stage.get(edge) for stage in document["stages"] for edge in EDGES)
    return yaml.safe_dump(document, sort_keys=False) if used else None


def _document(part: DeployPart) -> dict[str, Any]:
    stages = [stage.model_dump(include={"stage_id", *EDGES}, exclude_none=True) for stage in part.stages or []]
    return {"connectors": part.connectors or {}, "stages": stages}


def _read(name: str, entry: object) -> None:
    """Raises ConfigError."""
    stage_connectors({"connectors": {name: entry}, "stages": [{"stage_id": 0, EDGES[0]: {_LINK: name}}]}, 0)


def _place(document: Node, name: str, message: str) -> Place:
    """Of the key that a message quotes or names last, as near as it is found."""
    quoted = re.search(r"unknown key '([^']*)'", message)
    path = ["connectors", name]
    if quoted:
        path += ["extra", quoted[1]] if f"connectors.{name}.extra " in message else [quoted[1]]
    elif found := re.match(rf"connectors\.{re.escape(name)}\.(extra\.)?(\w+)", message):
        path += ["extra", found[2]] if found[1] else [found[2]]
    return document.place_of(path)
