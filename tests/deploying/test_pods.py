"""The pods of the cpu overlay, started as rendered: each a host of its own, with the names of its Services."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploying.rendering import Object, Rendered, container_of, ports_of, rendered
from tests.e2e.hosts import Host, hosts_of
from tests.e2e.server import picture, read_picture, scene, text, user
from tests.polling import BREATH_S
from tests.processes import ROOT, Process
from tests.transport.namespaces import NotPermittedError, attempt
from transport.configs import INLINE_BYTES

PODS = ("bagel-gateway", "bagel-thinker", "bagel-dit")
# An edit: its context is too large to travel with its announcement, so that pages are pulled.
EDIT: dict[str, Any] = {
    "messages": user(picture(scene(256, 256)), text("Make it blue")), "modalities": ["image"],
    "num_inference_steps": 4, "seed": 3,
}  # fmt: skip
TIMEOUT_S = 60.0


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    with ExitStack() as stack:
        try:
            attempt(["unshare", "--mount", "sh", "-c", "mount --bind /etc/hosts /etc/hosts"])
            opened = stack.enter_context(hosts_of("ipv4", len(PODS)))
        except NotPermittedError as reason:
            pytest.skip(f"no hosts for pods on this machine: {reason}")
        yield dict(zip(PODS, opened, strict=True))


def names(overlay: Rendered, hosts: dict[str, Host]) -> str:
    """What a cluster's name server knows of headless Services."""
    lines = ["127.0.0.1 localhost"]
    for name, service in overlay.of("Service").items():
        if service["spec"].get("clusterIP") == "None":
            lines += [f"{hosts[pod].address} {name}" for pod in overlay.selected(service["spec"]["selector"])]
    return "\n".join(lines) + "\n"


def start(overlay: Rendered, host: Host, container: Object, hosts_file: Path) -> Process:
    """A container's command in its environment and its network, where the names of `hosts_file` hold."""
    command = overlay.command(container, host.address)
    variables = overlay.environment(container, host.address)
    assert command[:2] == ["python", "-m"]
    inside = (
        "nsenter", "--net", f"--target={host.pid}", "unshare", "--mount",
        "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts_file),
        "env", *(f"{name}={value}" for name, value in variables.items()),
    )  # fmt: skip
    return Process(command[2], *command[3:], prefix=inside)


def probe(host: Host, container: Object) -> None:
    """Every gRPC probe of a container, from its host."""
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[name]["grpc"]
        arguments = (f"{host.address}:{asked['port']}", asked.get("service", ""))
        command = [
            "nsenter",
            "--net",
            f"--target={host.pid}",
            sys.executable,
            "-m",
            "tests.deploying.probing",
            *arguments,
        ]
        subprocess.run(command, cwd=ROOT, check=True, timeout=30)


def test_the_pods_draw_a_picture_and_end_when_told(hosts: dict[str, Host], tmp_path: Path) -> None:
    overlay = rendered("overlays/cpu")
    hosts_file = tmp_path / "hosts"
    hosts_file.write_text(names(overlay, hosts))
    containers = {name: container_of(overlay.pods()[name]) for name in PODS}
    door = hosts["bagel-gateway"]
    with ExitStack() as stack:
        processes = {name: start(overlay, hosts[name], containers[name], hosts_file) for name in PODS}
        for process in processes.values():
            stack.callback(process.stop)
        ports = {name: ports_of(container) for name, container in containers.items()}
        url = f"http://{door.name}:{ports['bagel-gateway']['http']}"
        thread = stack.enter_context(door.thread())
        answer, stages = thread.submit(asyncio.run, _draw(url, containers["bagel-gateway"])).result()
        for name in ("bagel-thinker", "bagel-dit"):
            probe(hosts[name], containers[name])
        assert read_picture(answer).startswith(b"\x89PNG")
        assert answer["bagel"]["transfer"]["transport"] == "zeromq"
        assert answer["bagel"]["transfer"]["bytes"] > INLINE_BYTES
        assert stages == {f"{hosts[name].address}:{ports[name]['grpc']}" for name in ("bagel-thinker", "bagel-dit")}
        assert {name: process.stop() for name, process in processes.items()} == dict.fromkeys(PODS, 0)


async def _draw(url: str, gateway: Object) -> tuple[dict[str, Any], set[str]]:
    """A picture once the gateway's probes succeed, and the stages' addresses."""
    async with httpx.AsyncClient(
        base_url=url, timeout=TIMEOUT_S, transport=httpx.AsyncHTTPTransport(retries=10)
    ) as http:
        async with asyncio.timeout(TIMEOUT_S):
            for probe in ("livenessProbe", "startupProbe", "readinessProbe"):
                while not (await http.get(gateway[probe]["httpGet"]["path"])).is_success:
                    await asyncio.sleep(BREATH_S)
        answer = (await http.post("/v1/chat/completions", json=EDIT)).raise_for_status().json()
        return answer, {stage["address"] for stage in (await http.get("/readyz")).json()["stages"]}
