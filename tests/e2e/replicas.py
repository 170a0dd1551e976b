"""Two Thinkers, two DiTs and a gateway, each a process of its own, to be lost and brought back one by one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx

from bagel.rpc import CHANNEL_OPTIONS
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import Process

MODEL = (
    "--load-format", "dummy", "--kv-pool-tokens", "8192", "--threads", "1", "--plain-progress", "--log-format", "json",
)  # fmt: skip
TIMEOUT_S = 30.0


@dataclass
class Replica:
    """One stage at a fixed address."""

    kind: str
    module: str
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    process: Process | None = None

    def start(self) -> None:
        self.process = Process(self.module, *MODEL, "--bind", self.address)

    def wait_ready(self) -> None:
        assert self.process is not None
        self.process.wait_event("ready")

    def send(self, signum: signal.Signals) -> None:
        assert self.process is not None
        self.process.send(signum)
        if signum is signal.SIGKILL:
            self.process.wait_exit()

    def status(self) -> settings_pb2.StageStatus:
        stub = {"thinker": thinker_pb2_grpc.ThinkerStub, "dit": dit_pb2_grpc.DitStub}[self.kind]
        with grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS) as channel:
            status: settings_pb2.StageStatus = stub(channel).GetStatus(settings_pb2.GetStatusRequest(), timeout=5)
            return status


@dataclass
class Replicas:
    """All of them."""

    thinkers: list[Replica]
    dits: list[Replica]
    http: httpx.Client

    def post(self, body: dict[str, Any]) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json=body)

    def working(self, kind: str) -> Replica:
        """The one of a kind that has a request on its device; waits for it."""
        found: list[Replica] = []

        def look() -> bool:
            found[:] = [
                stage for stage in (self.thinkers if kind == "thinker" else self.dits) if stage.status().running
            ]
            return bool(found)

        wait_until(look, f"no {kind} begins")
        return found[0]

    def wait_ready(self, count: int = 4) -> None:
        """Until the gateway has so many stages."""
        wait_until(
            lambda: sum(stage["state"] == "ready" for stage in self.http.get("/readyz").json()["stages"]) == count,
            f"never {count} stages",
            TIMEOUT_S,
        )

    def wait_idle(self) -> None:
        """Nothing runs, waits or is leased anywhere, and every page is free."""
        for stage in (*self.thinkers, *self.dits):
            wait_until(lambda stage=stage: idle(stage.status()), f"{stage.kind} keeps something")  # type: ignore[misc]

    def bring_back(self, stage: Replica) -> None:
        stage.start()
        stage.wait_ready()
        self.wait_ready()


def idle(status: settings_pb2.StageStatus) -> bool:
    held = status.running or status.queued or status.leases or status.grants
    return not held and status.free_pages == status.total_pages > 0


@contextmanager
def running_replicas(
    *, thinkers: int = 2, dits: int = 2, dit_module: str = "services.dit", gateway: tuple[str, ...] = ()
) -> Iterator[Replicas]:
    """Stages of dummy weights and their gateway, ready."""
    stages = [Replica("thinker", "services.thinker") for _ in range(thinkers)]
    drawers = [Replica("dit", dit_module) for _ in range(dits)]
    port = free_port()
    addresses = [flag for stage in (*stages, *drawers) for flag in (f"--{stage.kind}", stage.address)]
    door = Process("services.gateway", "--port", str(port), "--log-format", "json", *addresses, *gateway)
    try:
        for stage in (*stages, *drawers):
            stage.start()
        for stage in (*stages, *drawers):
            stage.wait_ready()  # all load at once, which takes a busy machine long
        transport = httpx.HTTPTransport(retries=10)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, transport=transport) as http:
            replicas = Replicas(stages, drawers, http)
            replicas.wait_ready(thinkers + dits)
            yield replicas
    finally:
        for process in (door, *(stage.process for stage in (*stages, *drawers))):
            if process is not None:
                process.send(signal.SIGCONT)
                process.stop()
