"""Several hosts: gateway and Thinker on one, a DiT on each of two others, joined by the master's address alone."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.e2e.hosts import FAMILIES, Host, hosts_of
from tests.e2e.server import Server, picture, read_picture, scene, text, user
from tests.polling import BREATH_S
from tests.processes import Process
from tests.transport.namespaces import NotPermittedError

DRAW: dict[str, Any] = {
    "messages": user("A red circle"), "modalities": ["image"], "height": 96, "width": 128, "num_inference_steps": 6,
    "seed": 3,
}  # fmt: skip
EDIT: dict[str, Any] = {**DRAW, "messages": user(picture(scene(96, 64)), text("Make it blue"))}
BODIES = (DRAW, EDIT)
HTTP_PORT, MASTER_PORT = 8000, 8092
FLAGS = ("--load-format", "dummy", "--kv-pool-tokens", "4096", "--log-format", "json")
TIMEOUT_S = 30.0


@pytest.fixture(params=FAMILIES)
def hosts(request: pytest.FixtureRequest) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(hosts_of(request.param, 3))
        except NotPermittedError as reason:
            pytest.skip(f"no three hosts over {request.param} on this machine: {reason}")
        yield opened


def test_pictures_are_those_of_one_host(hosts: list[Host], server: Server) -> None:
    near, *far = hosts
    calm = [read_picture(server.answer(**body)) for body in BODIES]
    master = ("--omni-master-address", near.address, "--omni-master-port", str(MASTER_PORT))
    with ExitStack() as stack:

        def start(host: Host, *flags: str) -> Process:
            process = host.process("services.cli.main", "serve", "--omni", *master, *FLAGS, *flags)
            stack.callback(process.stop)
            return process

        dits = [start(host, "--stage-id", "1", "--headless") for host in far]
        door = start(near, "--stage-id", "0", "--port", str(HTTP_PORT), "--host", near.address)
        for process in (door, *dits):
            process.wait_event("joined")
        drawn = (
            stack.enter_context(near.thread()).submit(asyncio.run, _draw(f"http://{near.name}:{HTTP_PORT}")).result()
        )
    stages, pictures = drawn
    assert pictures == calm * 2
    assert {stage["address"].rsplit(":", 1)[0] for stage in stages if stage["stage"] == "dit"} == {
        host.name for host in far
    }


async def _draw(url: str) -> tuple[list[dict[str, Any]], list[bytes]]:
    """The stages once all are ready, and every picture twice, all at once, so that both DiTs draw."""
    async with httpx.AsyncClient(
        base_url=url, timeout=TIMEOUT_S, transport=httpx.AsyncHTTPTransport(retries=10)
    ) as http:
        async with asyncio.timeout(TIMEOUT_S):
            while len(stages := [s for s in (await http.get("/readyz")).json()["stages"] if s["state"] == "ready"]) < 3:
                await asyncio.sleep(BREATH_S)
        answers = await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for body in BODIES * 2))
        return stages, [read_picture(answer.raise_for_status().json()) for answer in answers]
