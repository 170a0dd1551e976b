"""The toy system as actors of a local Ray cluster: the same bytes as from processes, also after an actor was killed."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import Server, read_picture, user
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import Process

BODY: dict[str, Any] = {
    "messages": user("a red cat"), "modalities": ["image"], "height": 64, "width": 64, "num_inference_steps": 4,
    "seed": 5,
}  # fmt: skip


class Node:
    """`bagel serve --worker-backend ray`, ready."""

    def __init__(self) -> None:
        self.ports = free_port(), free_port()
        http, master = map(str, self.ports)
        self.process = Process(
            "services.cli.main", "serve", "--worker-backend", "ray", "--port", http, "--master-port", master,
            "--load-format", "dummy", "--log-format", "json", "--deploy-config", "bagel_multiconnector.yaml",
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{http}"
        self.stages: dict[str, dict[str, Any]] = {}

    def wait_serving(self) -> None:
        while len(self.stages) < 2:
            self.next_life()
        self.process.wait_event("serving")

    def next_life(self) -> dict[str, Any]:
        """The start of a stage, the next one that its launcher tells of."""
        while "life" not in (event := self.process.wait_event("started")):
            pass
        self.stages[event["child"]] = event
        return event

    def wait_ready(self) -> None:
        wait_until(self.is_ready, self.process.tail, 60)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:  # it is busy
            return False

    def wait_lost(self, child: str) -> None:
        assert self.process.wait_event("actor_lost")["child"] == child

    def picture(self) -> bytes:
        response = httpx.post(f"{self.url}/v1/chat/completions", json=BODY, timeout=60)
        assert response.status_code == 200, response.text
        return read_picture(response.json())


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    node = Node()
    try:
        node.wait_serving()
        yield node
    finally:
        node.process.stop()


def test_actors_draw_the_same_picture_as_processes_also_after_one_was_killed(server: Server, node: Node) -> None:
    expected = read_picture(server.answer(**BODY))
    assert node.picture() == expected
    # The actor, and its stage ends with it; then the stage alone, as in a native crash, and its actor ends with it.
    for child, killed in (("dit", "actor_pid"), ("thinker", "pid")):
        before = node.stages[child]
        os.kill(before[killed], signal.SIGKILL)
        node.wait_lost(child)
        after = node.next_life()
        assert (after["child"], after["life"]) == (child, 2)
        assert (after["pid"], after["actor_pid"]) != (before["pid"], before["actor_pid"])
        wait_gone(before["pid"], before["actor_pid"])
        node.wait_ready()
        assert node.picture() == expected


def test_a_stop_leaves_neither_processes_nor_ports_nor_files(node: Node) -> None:
    processes = children_of(node.process.pid)
    assert len(processes) > 5  # Ray's own, the actors, their stages, gateway and registry
    folders = {Path(word).parts[2] for each in processes for word in command_of(each) if word.startswith("/tmp/bagel-")}
    assert node.process.stop() == 0, node.process.tail()
    wait_gone(*processes)
    assert not [folder for folder in folders if Path("/tmp", folder).exists()]
    for port in node.ports:
        with socket.socket() as probe:
            # A connection that is over may still be remembered by the kernel; who listens there is found all the same.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--worker-backend", "ray", "--ray-address", "127.0.0.1:{port}"), "nobody answers there"),
        (("--worker-backend", "ray", "--ray-address", "ray://10.0.0.1:10001"), "give HOST:PORT of the cluster's head"),
        (("--worker-backend", "ray", "--bind", "127.0.0.1"), "leave it out"),
        (("--ray-address", "auto"), "is for --worker-backend ray"),
    ],
)
def test_a_mistake_is_one_sentence(flags: tuple[str, ...], message: str) -> None:
    told = [flag.format(port=free_port()) for flag in flags]
    ports = ("--port", str(free_port()), "--master-port", str(free_port()))
    process = Process("services.cli.main", "serve", *ports, "--log-format", "json", *told)
    assert message in process.wait_event("cannot_start")["reason"]
    assert process.wait_exit() == 78


def wait_gone(*pids: int) -> None:
    wait_until(lambda: not any(map(alive, pids)), lambda: str([command_of(pid) for pid in pids if alive(pid)]))


def children_of(pid: int) -> list[int]:
    """All of them, and theirs."""
    found: list[int] = []
    try:
        told = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # it ended meanwhile, or one of its threads
    for child in map(int, " ".join(told).split()):
        found += [child, *children_of(child)]
    return found


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_of(pid: int) -> list[str]:
    """Its words, as far as it lives."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
