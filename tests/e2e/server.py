"""A running `bagel serve` as tests see it."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from PIL import Image, ImageDraw

from bagel.rpc import CHANNEL_OPTIONS
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import Process

IDLE_TIMEOUT_S = 30.0


@dataclass
class Server:
    """`bagel serve` with its HTTP client and its stages' gRPC addresses."""

    process: Process
    http: httpx.Client
    thinker: str
    dit: str
    pids: dict[str, int]
    metrics: dict[str, str]  # addresses of the stages' figures
    grpc: str  # address of the public service

    def figures(self, service: str) -> dict[str, float]:
        """Every sample of a service's `/metrics`, by name and labels."""
        at = "/metrics" if service == "gateway" else f"http://{self.metrics[service]}/metrics"
        lines = self.http.get(at).text.splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def chat(self, **body: Any) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json=body)

    def answer(self, **body: Any) -> dict[str, Any]:
        """The answer to a request that must succeed."""
        response = self.chat(**body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def status(self, stage: str) -> settings_pb2.StageStatus:
        stub, address = {
            "thinker": (thinker_pb2_grpc.ThinkerStub, self.thinker),
            "dit": (dit_pb2_grpc.DitStub, self.dit),
        }[stage]
        with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            status: settings_pb2.StageStatus = stub(channel).GetStatus(settings_pb2.GetStatusRequest(), timeout=5)
            return status

    def wait_status(self, stage: str, condition: Any, timeout_s: float = IDLE_TIMEOUT_S) -> settings_pb2.StageStatus:
        """Poll a stage's status until a condition holds; a busy one may answer late."""
        seen: list[settings_pb2.StageStatus | grpc.RpcError] = []

        def look() -> bool:
            try:
                seen[:] = [self.status(stage)]
            except grpc.RpcError as error:
                seen[:] = [error]
                return False
            return bool(condition(seen[0]))

        wait_until(look, lambda: f"{stage} stays at:\n{seen[0]}", timeout_s)
        assert isinstance(seen[0], settings_pb2.StageStatus)
        return seen[0]

    def wait_idle(self) -> None:
        """Nothing runs, waits or is leased, and every page is free."""
        for stage in ("thinker", "dit"):
            self.wait_status(
                stage,
                lambda s: not (s.running or s.queued or s.leases or s.grants) and s.free_pages == s.total_pages > 0,
            )


@contextmanager
def running_server(*flags: str) -> Iterator[Server]:
    """A server on a free port, ready."""
    port, grpc_port = free_port(), free_port()
    own = ("--port", str(port), "--grpc-port", str(grpc_port), "--metrics-port", "0", "--log-format", "json")
    process = Process("services.cli.main", "serve", *own, *flags)
    try:
        pids = {}
        addresses, metrics = {}, {}
        while len(pids) < 3:
            event = process.wait_event("started")
            pids[event["child"]] = event["pid"]
        while len(addresses) < 2:
            event = process.wait_event("listening")
            addresses[event["service"]], metrics[event["service"]] = event["address"], event["metrics"]
        process.wait_event("serving")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:
            public = f"127.0.0.1:{grpc_port}"
            yield Server(process, http, addresses["thinker"], addresses["dit"], pids, metrics, public)
    finally:
        process.stop()


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def picture(image: Image.Image | bytes, mime: str = "image/png") -> dict[str, Any]:
    """An image part."""
    if isinstance(image, Image.Image):
        out = io.BytesIO()
        image.save(out, format="PNG")
        image = out.getvalue()
    return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{base64.b64encode(image).decode()}"}}


def user(*parts: dict[str, Any] | str) -> list[dict[str, Any]]:
    """Messages with one user message."""
    content: Any = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else list(parts)
    return [{"role": "user", "content": content}]


def read_picture(answer: dict[str, Any]) -> bytes:
    """The picture as BAGEL's documented client finds it: the first list-valued content whose first item is one."""
    for choice in answer["choices"]:
        content = choice["message"]["content"]
        if isinstance(content, list) and content[0].get("image_url", {}).get("url", "").startswith("data:image"):
            return base64.b64decode(content[0]["image_url"]["url"].split(",", 1)[1])
    raise AssertionError(f"no picture in {json.dumps(answer)[:400]}")


def read_text(answer: dict[str, Any]) -> str:
    """The text as the documented client finds it: the first non-empty string."""
    for choice in answer["choices"]:
        content = choice["message"]["content"]
        if isinstance(content, str) and content:
            return content
    raise AssertionError(f"no text in {json.dumps(answer)[:400]}")


def scene(width: int, height: int) -> Image.Image:
    """A small drawn picture."""
    image = Image.new("RGB", (width, height), (90, 150, 210))
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), fill=(230, 120, 40))
    return image
