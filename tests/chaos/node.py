"""One node of two Thinkers and two DiTs under `bagel serve`, whose processes can be found and killed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import Process

DEPLOY = """
base_config: bagel.yaml
stages:
  - {stage_id: 0, num_replicas: 2}
  - {stage_id: 1, num_replicas: 2}
"""
FLAGS = ("--threads", "1", "--kv-pool-tokens", "16384", "--log-format", "json")
STAGES = ("thinker", "thinker-1", "dit", "dit-1")
START_S = 90.0


@dataclass(slots=True)
class Node:
    """`bagel serve` and the last known pid of each of its processes."""

    process: Process
    url: str
    pids: dict[str, int] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read which processes there are now."""
        for event in self.events("started"):
            self.pids[event["child"]] = event["pid"]

    def events(self, name: str) -> list[dict[str, Any]]:
        """All of a name that were logged by now."""
        logged = (json.loads(line) for line in list(self.process.lines) if line.startswith("{"))
        return [event for event in logged if event["event"] == name]

    def stages(self) -> list[dict[str, str]]:
        """What `/readyz` lists."""
        stages: list[dict[str, str]] = httpx.get(f"{self.url}/readyz", timeout=10).json()["stages"]
        return stages

    def ready(self, count: int) -> bool:
        """Whether the gateway has so many stages."""
        return sum(stage["state"] == "ready" for stage in self.stages()) == count


@contextmanager
def running_node(folder: Path) -> Iterator[Node]:
    """A node that is ready, with all its replicas."""
    deploy, port = folder / "deploy.yaml", free_port()
    deploy.write_text(DEPLOY, encoding="utf-8")
    own = ("--port", str(port), "--master-port", str(free_port()), "--deploy-config", str(deploy))
    process = Process("services.cli.main", "serve", *own, *FLAGS)
    try:
        process.wait_event("serving", START_S)
        node = Node(process, f"http://127.0.0.1:{port}")
        wait_until(lambda: node.ready(len(STAGES)), timeout_s=START_S)
        node.refresh()
        yield node
    finally:
        process.stop()
