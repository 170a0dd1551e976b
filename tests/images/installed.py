"""`make images`: every Dockerfile built line by line, and both ways to compose them run, without an engine.

Real: the lines of the Dockerfiles, their users, entry points and health checks, the compose files' commands, read-only
roots, separate process, IPC and network namespaces, volumes and secrets with their owners. Not real: `building` and
`containers` say it. Takes minutes and gigabytes of memory, so it is no part of `make test`. Needs root.
"""

import base64
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.keys import add_key
from tests.e2e.hosts import Host, hosts_of
from tests.images.building import BuildError, Image, Workshop, build, workshop
from tests.images.composing import ONE_NODE, rendered
from tests.images.containers import Container, Project
from tests.images.dockerfiles import SERVICES
from tests.polling import wait_until
from tests.processes import ROOT
from tests.transport.namespaces import NotPermittedError

CAT: dict[str, Any] = {"prompt": "A cat", "size": "128x128", "num_inference_steps": 6, "seed": 7}
PNG = b"\x89PNG\r\n\x1a\n"
GROUP = 10001  # that images share, and that secrets are readable for


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    if os.geteuid() != 0:
        pytest.skip("separate users and namespaces need root")
    try:
        with workshop() as made:
            yield made
    except BuildError as error:
        pytest.skip(f"this machine permits no mounts: {error}")


@pytest.fixture(scope="module")
def images(shop: Workshop) -> dict[str, Image]:
    return {service: build(shop, service) for service in SERVICES}


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    try:
        with hosts_of("ipv4", 5) as made:
            yield made
    except NotPermittedError as error:
        pytest.skip(f"this machine permits no networks: {error}")


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """Files as an operator makes them: for the images' group, and for nobody else."""
    token, keys = tmp_path / "join-token", tmp_path / "api-keys.jsonl"
    token.write_text("between us\n")
    secret = add_key(keys, "tests", per_minute=None, at_once=None)
    for file in (token, keys):
        os.chown(file, 0, GROUP)
        file.chmod(0o640)
    return {"JOIN_TOKEN_FILE": str(token), "API_KEYS_FILE": str(keys), "secret": secret}


def test_images_hold_what_their_service_needs_and_no_more(shop: Workshop, images: dict[str, Image]) -> None:
    for service, image in images.items():
        with shop.root_of(image.layers) as root:
            listed = shop.do("chroot", str(root), "/opt/bagel/bin/pip", "list", "--format=freeze")
        packages = {line.partition("==")[0].lower() for line in listed.splitlines()}
        assert "bagel-serve" in packages
        assert ("torch" in packages) == (service != "gateway")
        # The CPU variant brings nothing of CUDA's.
        assert not [name for name in packages if name.startswith(("nvidia", "cuda", "triton"))]
        assert not packages & {"pytest", "ruff", "mypy", "grpcio-tools", "ray"}


def test_one_node_draws_a_picture(
    shop: Workshop, images: dict[str, Image], hosts: list[Host], secrets: dict[str, str], tmp_path: Path
) -> None:
    key = secrets.pop("secret")
    project = Project(shop, rendered(ONE_NODE, COMPOSE_PROFILES="cpu", **secrets), images, tmp_path)
    names = dict(zip(("registry", "gateway", "thinker", "dit", "fetch"), hosts, strict=True))
    with ExitStack() as stack:
        up = {}
        for name in ("registry", "fetch", "thinker", "dit", "gateway"):
            up[name] = stack.enter_context(project.started(name, names[name], names))
            if name == "registry":
                up[name].wait_well()
            if name == "fetch":
                assert up[name].outer.wait(60) == 0, up[name].tail()
        for name in ("thinker", "dit", "gateway"):
            up[name].wait_well()
        del up["fetch"]
        refused = _ask(names["gateway"], "wrong key")
        assert refused.status_code == 401
        _wait_ready(names["gateway"])
        answer = _ask(names["gateway"], key)
        assert answer.status_code == 200, answer.text
        _check_picture(answer)
        # The memory came through the socket in the volume, between network, process and IPC namespaces.
        transfer = answer.json()["bagel"]["transfer"]
        assert transfer["transport"] == "shm", transfer
        for name, container in up.items():
            _check_confined(container)
            print(f"{name} wrote {_written(container)}")
            kept = {path for path in _written(container) if not path.startswith("/tmp/")}
            assert kept == ({"/run/bagel/kv.sock"} if name in ("thinker", "dit") else set()), name
        for name in ("gateway", "dit", "thinker", "registry"):
            assert up[name].stop() == 0, up[name].tail()
        assert not list(project.volume("sockets").iterdir())


def test_two_nodes_draw_a_picture(
    shop: Workshop, images: dict[str, Image], hosts: list[Host], secrets: dict[str, str], tmp_path: Path
) -> None:
    key = secrets.pop("secret")
    first, second = hosts[1], hosts[2]
    told = {**secrets, "MASTER_ADDRESS": first.address, "COMPOSE_PROFILES": "cpu"}
    head = Project(shop, rendered("deploy/compose/head.yml", **told, ADVERTISE_ADDRESS=""), images, tmp_path)
    far = Project(shop, rendered("deploy/compose/dit.yml", **told, ADVERTISE_ADDRESS=second.address), images, tmp_path)
    with head.started("head", first, {}) as node, far.started("dit", second, {}) as dit:
        node.wait_well()
        dit.wait_well()
        _wait_ready(first)
        answer = _ask(first, key)
        assert answer.status_code == 200, answer.text
        _check_picture(answer)
        assert answer.json()["bagel"]["transfer"]["transport"] == "zeromq"
        for container in (node, dit):
            _check_confined(container)
        assert dit.stop() == 0, dit.tail()
        assert node.stop() == 0, node.tail()


def test_one_container_draws_a_picture_as_its_page_starts_it(
    shop: Workshop, images: dict[str, Image], hosts: list[Host], tmp_path: Path
) -> None:
    page = (ROOT / "docs/containers.md").read_text()
    found = re.search(r"--health-cmd '([^']+)' --entrypoint bagel bagel-serve-thinker:\S+ \\\n\s+(serve .+)", page)
    assert found is not None
    spec = {
        "image": "bagel-serve-thinker", "build": {"dockerfile": "thinker.Dockerfile"}, "environment": {},
        "entrypoint": ["bagel"], "command": found[2].split(), "healthcheck": {"test": ["CMD", *found[1].split()]},
        "tmpfs": ["/tmp"], "stop_grace_period": "10s",
    }  # fmt: skip
    with Project(shop, {"services": {"node": spec}}, images, tmp_path).started("node", hosts[1], {}) as node:
        node.wait_well()
        _wait_ready(hosts[1])
        answer = _ask(hosts[1], "none is asked for")
        assert answer.status_code == 200, answer.text
        _check_picture(answer)
        assert node.stop() == 0, node.tail()


def _ask(gateway: Host, key: str) -> httpx.Response:
    def post() -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.post("http://127.0.0.1:8091/v1/images/generations", json=CAT, headers=headers, timeout=120)

    with gateway.thread() as there:
        return there.submit(post).result(150)


def _wait_ready(gateway: Host) -> None:
    def ready() -> bool:
        return httpx.get("http://127.0.0.1:8091/readyz", timeout=10).is_success

    with gateway.thread() as there:
        wait_until(lambda: there.submit(ready).result(30), "the gateway does not find its stages", 60)


def _check_picture(answer: httpx.Response) -> None:
    assert base64.b64decode(answer.json()["data"][0]["b64_json"]).startswith(PNG)


def _check_confined(container: Container) -> None:
    """Its own user, no capability, no way to get one, and a root that cannot be written to."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{container.pid}/status").read_text().splitlines() if "\t" in line
    )
    uid, gid = container.image.user
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Gid"].split() == [str(gid)] * 4
    assert status["NoNewPrivs"] == "1"
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {"0" * 16}
    for place in ("/opt/bagel/new", "/etc/new", "/new", "/var/tmp/new", "/usr/local/new"):
        tried = container.execute("touch", place)
        assert tried.returncode != 0, place
        assert "Read-only" in tried.stderr or "denied" in tried.stderr, tried.stderr
    assert "Read-only" in container.execute("touch", "/var/tmp/new").stderr  # where anybody may write elsewhere


def _written(container: Container) -> list[str]:
    """Files and sockets in the places that it may write to."""
    done = container.execute("find", "/tmp", "/dev/shm", "/run/bagel", "-mindepth", "1")
    return done.stdout.split()
