"""Kustomizations rendered to objects, and the commands and environments that a kubelet would make of a container.

Knows Kubernetes, and nothing of our flags.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

KUSTOMIZE = ROOT / "deploy" / "kustomize"
OVERLAYS = ("cpu", "gpu", "rdma")
LEAST_MAJOR = 5  # of kustomize: kubectl 1.27
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of one kustomization."""

    name: str
    objects: tuple[Object, ...]

    def of(self, kind: str) -> dict[str, Object]:
        """All of a kind, by name."""
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def pods(self) -> dict[str, Object]:
        """Templates of Deployments, by the Deployment's name, and Pods."""
        templates = {name: each["spec"]["template"] for name, each in self.of("Deployment").items()}
        return templates | self.of("Pod")

    def selected(self, labels: Mapping[str, str]) -> list[str]:
        """The pods that a selector means, by name."""
        pods = {name: pod["metadata"]["labels"] for name, pod in self.pods().items()}
        return [name for name, own in pods.items() if labels.items() <= own.items()]

    def environment(self, container: Object, pod_ip: str) -> dict[str, str]:
        """A container's variables, those of its ConfigMaps first."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            found |= self.of("ConfigMap")[source["configMapRef"]["name"]]["data"]
        for entry in container.get("env", ()):
            found[entry["name"]] = entry["value"] if "value" in entry else _from(entry["valueFrom"], container, pod_ip)
        return found

    def command(self, container: Object, pod_ip: str) -> list[str]:
        """What a container runs. As in a pod, a variable that is not there stays as it is written."""
        variables = self.environment(container, pod_ip)
        program = container.get("command") or json.loads(image_says(container, "ENTRYPOINT"))
        words = [*program, *container.get("args", ())]
        return [re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), word) for word in words]


def container_of(pod: Object) -> Object:
    """A pod's only container."""
    (container,) = pod["spec"]["containers"]
    found: Object = container
    return found


def ports_of(container: Object) -> dict[str, int]:
    """Its ports by name."""
    return {port["name"]: port["containerPort"] for port in container.get("ports", ())}


def image_says(container: Object, instruction: str) -> str:
    """The rest of an instruction's last line in the Dockerfile of a container's image."""
    service = container["image"].partition(":")[0].rpartition("bagel-serve-")[2]
    text = (ROOT / "deploy" / "docker" / f"{service}.Dockerfile").read_text()
    return re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)[-1]


@cache
def rendered(name: str) -> Rendered:
    """A kustomization of `deploy/kustomize`. Skips the test where nothing here can render it."""
    return render(KUSTOMIZE / name, name)


def render(folder: Path, name: str) -> Rendered:
    """Any other one. Skips likewise."""
    done = subprocess.run([*_renderer(), str(folder)], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return Rendered(name, tuple(yaml.safe_load_all(done.stdout)))


@cache
def _renderer() -> Sequence[str]:
    if shutil.which("kustomize"):
        return ("kustomize", "build")
    if not shutil.which("kubectl"):
        pytest.skip("nothing here renders kustomizations: install kubectl 1.27 or newer, or kustomize 5")
    told = subprocess.run(
        ["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True, check=True, timeout=30
    )
    version = json.loads(told.stdout).get("kustomizeVersion", "v2, as old ones do not say")
    if int(re.match(r"v(\d+)", version)[1]) < LEAST_MAJOR:  # type: ignore[index]
        pytest.skip(f"kubectl brings kustomize {version}: install kubectl 1.27 or newer, or kustomize 5")
    return ("kubectl", "kustomize")


def _from(source: Object, container: Object, pod_ip: str) -> str:
    match source:
        case {"fieldRef": {"fieldPath": "status.podIP"}}:
            return pod_ip
        case {"resourceFieldRef": {"resource": "limits.cpu"}}:
            return str(int(container["resources"]["limits"]["cpu"]))
        case _:
            raise AssertionError(f"{source}: a kubelet knows this source, the test does not")
