"""A deploy file as `bagel serve` would read it: every mistake that would keep it from starting, and a few others."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from bagel import defaults
from bagel.errors import ConfigError
from services.cli.checks.findings import Finding, fail, ok, warn
from services.cli.checks.transports import check_mooncake, rdma_devices
from services.launch.deploy.links import EDGES, links_of
from services.launch.deploy.load import Deployment, DeploySources, load_deployment
from services.launch.machine import platform_of, visible_devices
from services.launch.serve import served_model
from transport.configs import MooncakeConfig, MooncakeStoreConfig, PlaneConfig
from transport.connectors import StageConnectors


def check_deploy(path: Path) -> Iterator[Finding]:
    """Findings of a file, the first of them about the whole."""
    platform = platform_of("auto", visible=visible_devices())
    try:
        sources = DeploySources(deploy_config=str(path))
        deployment = load_deployment(sources, platform, served_model(defaults.MODEL, "auto"))
    except ConfigError as error:
        for line in str(error).splitlines():
            yield fail("file", line, "mend that, or look at docs/deploy.md")
        return
    yield ok("file", f"{path}: pipeline {deployment.pipeline.name} on {platform}")
    ways: dict[int, StageConnectors | None] = {}
    for stage in deployment.pipeline.stages:
        ways[stage.stage_id] = links_of(deployment.part, stage.stage_id)
        replicas = deployment.fields_of(stage).num_replicas or 1
        yield ok(stage.name, f"{replicas} a node; {_told(ways[stage.stage_id])}")
    yield from _together(ways)
    yield from _unused(deployment)


def _told(connectors: StageConnectors | None) -> str:
    if connectors is None:
        return "names no connector: what works on its host, best first"
    return "pages over " + ", then ".join(_name(plane) for plane in connectors.planes)


def _name(plane: PlaneConfig) -> str:
    name = type(plane).__name__.removesuffix("Config").lower()
    settings = plane.protocol if isinstance(plane, MooncakeConfig | MooncakeStoreConfig) else ""
    return f"{name} ({settings})" if settings else name


def _together(ways: Mapping[int, StageConnectors | None]) -> Iterator[Finding]:
    """Whether the stages could meet, and on this host."""
    named = [connectors.planes for connectors in ways.values() if connectors is not None]
    if len(named) == len(ways) > 1:
        kinds = [{type(plane) for plane in planes} for planes in named]
        if not kinds[0] & kinds[1]:
            yield fail("link", "the stages have no connector of one kind in common", "give both the same one")
    planes = [plane for stage in named for plane in stage]
    mooncakes = [plane for plane in planes if isinstance(plane, MooncakeConfig | MooncakeStoreConfig)]
    if mooncakes:
        yield check_mooncake()
    if any(plane.protocol == "rdma" for plane in mooncakes) and not rdma_devices():
        yield warn("rdma", "is asked for, and this host has no device", "take protocol: tcp, unless it is for others")


def _unused(deployment: Deployment) -> Iterator[Finding]:
    stages = deployment.part.stages or []
    used = {
        name for stage in stages for edge in EDGES for names in (getattr(stage, edge) or {}).values() for name in names
    }
    unused = [name for name in deployment.part.connectors or {} if name not in used]
    if unused:
        yield warn("connectors", f"no stage uses {', '.join(unused)}", "name them in a stage, or remove them")
