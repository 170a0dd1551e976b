"""`python -m tests.chaos.ray_nodes`: a Ray cluster of two nodes, each a network of its own, with a stage on each.

Needs root and iproute2. Prints what it found; ends with 1 when a picture differs, or a stage does not come back.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.hosts import Host, hosts_of
from tests.e2e.server import read_picture, running_server, user
from tests.polling import wait_until
from tests.processes import Process

RAY_PORT, HTTP_PORT = 6379, 8091
OWN = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}  # nobody else is in these networks
BODY: dict[str, Any] = {
    "messages": user("a red cat"), "modalities": ["image"], "num_inference_steps": 8, "seed": 42,
}  # fmt: skip


def main() -> int:
    """The exit status."""
    os.environ.update(OWN)
    with running_server() as server:
        expected = read_picture(server.answer(**BODY))
    with hosts_of("ipv4", 2) as (head, other), ExitStack() as stack:
        stack.enter_context(ray_node(head, "--head", f"--port={RAY_PORT}", "--include-dashboard=false"))
        stack.enter_context(ray_node(other, f"--address={head.name}:{RAY_PORT}"))
        serving = head.process(
            "services.cli.main", "serve", "--worker-backend", "ray", "--ray-address", f"{head.name}:{RAY_PORT}",
            "--port", str(HTTP_PORT), "--log-format", "json",
        )  # fmt: skip
        stack.callback(serving.stop)
        client = Client(head)
        watch(serving, client, expected)
        client.check("SIGHUP: every process made anew", roll(serving), expected)
        status = serving.stop()
        print(f"SIGTERM: status {status}")
    return 0 if status == 0 else 1


class Client:
    """Asks the gateway, from its own host."""

    def __init__(self, host: Host) -> None:
        self._thread = host.thread()
        self._url = f"http://127.0.0.1:{HTTP_PORT}"

    def ready(self) -> bool:
        return self._thread.submit(lambda: httpx.get(f"{self._url}/readyz").status_code == 200).result()

    def check(self, what: str, seconds: float, expected: bytes) -> None:
        """Say what happened, and that the picture is the same."""
        response = self._thread.submit(
            lambda: httpx.post(f"{self._url}/v1/chat/completions", json=BODY, timeout=60)
        ).result()
        answer = response.json()
        if response.status_code != 200 or read_picture(answer) != expected:
            raise SystemExit(f"{what}: another picture, or none: {json.dumps(answer)[:400]}")
        digest = hashlib.sha256(expected).hexdigest()[:12]
        print(f"{what}: {seconds:.1f} s; same picture {digest}, KV over {answer['bagel']['transfer']['transport']}")


def watch(serving: Process, client: Client, expected: bytes) -> None:
    """Start, and the kill of each actor."""
    began_s = time.monotonic()
    lives = {event["child"]: event for event in (next_life(serving), next_life(serving))}
    joined = [serving.wait_event("worker_joined") for _ in lives]
    if len({event["address"].rpartition(":")[0] for event in joined}) != 2:
        raise SystemExit(f"both stages are on one node: {joined}")
    serving.wait_event("serving")
    client.check("start, a stage on each node", time.monotonic() - began_s, expected)
    for child, life in lives.items():
        killed_s = time.monotonic()
        os.kill(life["actor_pid"], signal.SIGKILL)
        serving.wait_event("actor_lost")
        next_life(serving)
        wait_until(client.ready, serving.tail, 60)
        client.check(f"SIGKILL of the actor of {child}: ready again after", time.monotonic() - killed_s, expected)


def roll(serving: Process) -> float:
    """Seconds of a round of restarts."""
    serving.send(signal.SIGHUP)
    return float(serving.wait_event("rolled")["seconds"])


def next_life(serving: Process) -> dict[str, Any]:
    """The start of a stage, the next one that its launcher tells of."""
    while "life" not in (event := serving.wait_event("started")):
        pass
    return event


@contextmanager
def ray_node(host: Host, *flags: str) -> Iterator[None]:
    """A node with one CPU, which is room for one stage. It ends its own processes when it is told to."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    ray = ("nsenter", "--net", f"--target={host.pid}", str(Path(sys.executable).with_name("ray")))
    own = (f"--node-ip-address={host.address}", "--num-cpus=1", "--object-store-memory=80000000")
    with (folder / "log").open("wb") as log:
        node = subprocess.Popen(
            [*ray, "start", "--block", *flags, *own, f"--temp-dir={folder}"], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: b"Ray runtime started" in (folder / "log").read_bytes(), "no Ray node", 60)
        yield
    finally:
        node.terminate()
        node.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
