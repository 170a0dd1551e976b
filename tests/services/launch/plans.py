"""Plans of nodes as tests make them, without starting anything."""

from pathlib import Path
from typing import Any

import yaml

from bagel.checkpoint import resolve_model
from services.launch.deploy.checks import Served
from services.launch.deploy.load import Deployment, DeploySources, load_deployment
from services.launch.options import ServeOptions
from services.launch.plan import ChildSpec, NodePlan, plan_children
from services.launch.topology import topology_of

TOY = Served(model="toy", kv_heads=2, max_positions=4096)


def deployed(folder: Path, document: dict[str, Any] | str, platform: str = "cpu", **sources: Any) -> Deployment:
    """A deployment of a file with that content, and flags."""
    path = folder / "deploy.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return load_deployment(DeploySources(deploy_config=str(path), **sources), platform, TOY)


def children_of(
    deployment: Deployment | None = None, options: ServeOptions | None = None, **machine: Any
) -> dict[str, ChildSpec]:
    """What a node would start, by name."""
    options = options or ServeOptions()
    deployment = deployment or load_deployment(options.deploy, "cpu", TOY)
    plan = NodePlan(
        options=options, deployment=deployment, topology=topology_of(options.placement, deployment.pipeline),
        source=resolve_model("toy", load_format="auto"), runtime=Path("/run/bagel"),
        launch_id="4e1f", **machine,
    )  # fmt: skip
    return {child.name: child for child in plan_children(plan)}


def flag(child: ChildSpec, name: str) -> str | None:
    """The last value of a flag; None without it."""
    positions = [index for index, word in enumerate(child.command) if word == name]
    return child.command[positions[-1] + 1] if positions else None


def flags(child: ChildSpec, name: str) -> list[str]:
    """All values of a flag."""
    return [child.command[index + 1] for index, word in enumerate(child.command) if word == name]
