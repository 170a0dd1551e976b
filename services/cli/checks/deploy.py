"""A deploy file as the stages would read it: every mistake that would keep them from starting, and some that would not.

Knows the part of a deploy file that is built: `connectors`, and what each stage uses of them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bagel.errors import ConfigError
from services.cli.checks.findings import Finding, fail, ok, warn
from services.cli.checks.transports import check_mooncake, rdma_devices
from transport.configs import MooncakeConfig, MooncakeStoreConfig, PlaneConfig
from transport.connectors import StageConnectors, stage_connectors

STAGES = {0: "thinker", 1: "dit"}  # by stage_id
EDGES = ("input_connectors", "output_connectors")


def check_deploy(path: Path) -> Iterator[Finding]:
    """Findings of a file, the first of them about the whole."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        yield fail("file", f"{path}: cannot be read ({error.strerror})", "name a deploy file, or a model's folder")
        return
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        yield fail("file", f"{path}: is no YAML ({' '.join(str(error).split())})", "mend that line")
        return
    if problem := _misshapen(document):
        yield fail("file", f"{path}: {problem}", "docs/transport.md shows a whole one")
        return
    yield ok("file", str(path))
    ways: dict[int, StageConnectors | None] = {}
    for stage_id, name in STAGES.items():
        try:
            ways[stage_id] = stage_connectors(document, stage_id)
        except ConfigError as error:
            yield fail(name, str(error), f"mend it in {path}")
            return
        yield ok(name, _told(ways[stage_id]))
    yield from _together(ways)
    yield from _unused(document)


def _misshapen(document: object) -> str | None:
    """What of the file is of another kind than its readers take for granted."""
    if not isinstance(document, dict):
        return "must be a mapping with connectors and stages"
    named, stages = document.get("connectors") or {}, document.get("stages") or []
    if not isinstance(named, dict):
        return "connectors must be a mapping of names"
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        return "stages must be a list of mappings"
    ids = [stage.get("stage_id") for stage in stages]
    for stage_id in ids:
        if type(stage_id) is not int or stage_id not in STAGES:
            known = " and ".join(f"{number} ({name})" for number, name in STAGES.items())
            return f"stage_id is {stage_id!r}; there are {known}"
        if ids.count(stage_id) > 1:
            return f"stage {stage_id} stands there twice"
    return next((problem for stage in stages if (problem := _misshapen_edges(stage))), None)


def _misshapen_edges(stage: Mapping[str, Any]) -> str | None:
    for edge in EDGES:
        links = stage.get(edge) or {}
        where = f"stage {stage['stage_id']}: {edge}"
        if not isinstance(links, dict):
            return f"{where} must be a mapping, such as to_stage_1: NAME"
        for value in links.values():
            names = value if isinstance(value, list) else [value]
            if not names or not all(isinstance(name, str) for name in names):
                return f"{where} must name a connector, or a list of them"
    return None


def _told(connectors: StageConnectors | None) -> str:
    if connectors is None:
        return "names no connector: what works on its host, best first"
    return "pages over " + ", then ".join(_name(plane) for plane in connectors.planes)


def _name(plane: PlaneConfig) -> str:
    name = type(plane).__name__.removesuffix("Config").lower()
    settings = plane.protocol if isinstance(plane, MooncakeConfig | MooncakeStoreConfig) else ""
    return f"{name} ({settings})" if settings else name


def _together(ways: Mapping[int, StageConnectors | None]) -> Iterator[Finding]:
    """Whether the two stages could meet, and on this host."""
    named = [connectors.planes for connectors in ways.values() if connectors is not None]
    if len(named) == len(STAGES):
        kinds = [{type(plane) for plane in planes} for planes in named]
        if not kinds[0] & kinds[1]:
            yield fail("link", "the stages have no connector of one kind in common", "give both the same one")
    planes = [plane for stage in named for plane in stage]
    mooncakes = [plane for plane in planes if isinstance(plane, MooncakeConfig | MooncakeStoreConfig)]
    if mooncakes:
        yield check_mooncake()
    if any(plane.protocol == "rdma" for plane in mooncakes) and not rdma_devices():
        yield warn("rdma", "is asked for, and this host has no device", "take protocol: tcp, unless it is for others")


def _unused(document: Mapping[str, Any]) -> Iterator[Finding]:
    used = set[str]()
    for stage in document.get("stages") or ():
        for edge in EDGES:
            for value in (stage.get(edge) or {}).values():
                used.update(value if isinstance(value, list) else [value])
    unused = [name for name in document.get("connectors") or {} if name not in used]
    if unused:
        yield warn("connectors", f"no stage uses {', '.join(map(str, unused))}", "name them in a stage, or remove them")
