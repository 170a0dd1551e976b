"""`bagel doctor transport`: how KV pages would move between two nodes, measured and explained.

One node listens with a pool of test pages on every data plane it has; the other opens a read grant there, as a DiT does
at a Thinker, and pulls the pages over each plane in turn.
"""

import asyncio
import json
import statistics
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import torch
import typer

from bagel import wire
from bagel.errors import ConfigError
from bagel.kv_layout import PageRun
from bagel.rpc import SERVER_OPTIONS, ServicerContext, open_channel
from bagel.stage_flags import StageConfig
from bagel.v1 import kv_pb2, kv_pb2_grpc
from transport.base import DataPlane, Endpoint, FetchReport, FetchRequest, Region, in_order
from transport.errors import TransportError
from transport.holder import Holder
from transport.memory import MemoryHub
from transport.open import open_planes
from transport.planes import Planes
from transport.pool import Pool
from transport.stage import connectors_of

PAGE_BYTES = 896 << 10  # 16 tokens of the 7B model in bfloat16
NUM_PAGES = 72  # 63 MiB
ROUNDS = 5
DEADLINE_S = 60.0
ENDPOINTS_KEY = "bagel-endpoints"
EDIT_BYTES = 518e6  # the context of an edit at 1024 px
SLOW_GB_PER_S = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one data plane can do on this link."""

    transport: str
    secure: bool
    problem: str | None
    gb_per_s: float = 0.0

    def line(self) -> str:
        """For people."""
        if self.problem is not None:
            return f"{self.transport:<15} no: {self.problem}"
        kind = "" if self.secure else "; for trusted networks only: readers are not held to their grant"
        seconds = EDIT_BYTES / self.gb_per_s / 1e9
        return f"{self.transport:<15} {self.gb_per_s:6.2f} GB/s, {seconds:.2f} s for an edit at 1024 px{kind}"


class ProbeSource(kv_pb2_grpc.KvSourceServicer):
    """Grants on test pages; tells the endpoints in its metadata, since there is no handle."""

    def __init__(self, holder: Holder) -> None:
        pages = list(range(NUM_PAGES))
        self._holder, self._generations = holder, holder.publish("probe", pages)
        self._digests = holder.digests(pages, self._generations)

    async def Read(self, request: kv_pb2.ReadRequest, context: ServicerContext) -> AsyncIterator[kv_pb2.ReadEvent]:
        token = self._holder.open_grant("probe")
        try:
            endpoints = [[e.transport, e.address, e.secure] for e in self._holder.endpoints]
            await context.send_initial_metadata(((ENDPOINTS_KEY, json.dumps(endpoints)),))
            yield kv_pb2.ReadEvent(granted=kv_pb2.Granted(data_token=token))
            runs = wire.runs_to_proto([PageRun(0, NUM_PAGES)])
            ready = kv_pb2.PagesReady(runs=runs, digests=self._digests, generations=self._generations)
            yield kv_pb2.ReadEvent(pages_ready=ready)
            await asyncio.sleep(DEADLINE_S)
        finally:
            self._holder.close_grant(token)


async def listen(bind: str, config: StageConfig, ready: "asyncio.Future[str] | None" = None) -> None:
    """Serve test pages until cancelled. Raises ConfigError."""
    planes = open_planes(connectors_of(config, 0).planes, MemoryHub())
    pool = Pool(num_pages=NUM_PAGES, page_bytes=PAGE_BYTES, epoch=1, device=torch.device("cpu"))
    pool.host.random_(0, 256)
    holder = Holder(pool, planes.all)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    kv_pb2_grpc.add_KvSourceServicer_to_server(ProbeSource(holder), server)
    try:
        try:
            port = server.add_insecure_port(bind)
        except RuntimeError as error:
            raise ConfigError(f"{bind}: cannot listen there ({error})") from error
        await server.start()
        address = f"{bind.rsplit(':', 1)[0]}:{port}"
        for endpoint in holder.endpoints:
            typer.echo(f"serving {endpoint.transport} at {endpoint.address}")
        typer.echo(f"on the other node: bagel doctor transport {address}  (with an address of this node)")
        if ready is not None:
            ready.set_result(address)
        await server.wait_for_termination()
    finally:
        await server.stop(0)
        holder.close()


async def measure(peer: str, config: StageConfig) -> list[Finding]:
    """Try every data plane of a listening node. Raises ConfigError when the node does not answer."""
    planes = open_planes(connectors_of(config, 1).planes, MemoryHub())
    landing = Region(torch.zeros(NUM_PAGES * PAGE_BYTES, dtype=torch.uint8))
    planes.prepare(landing)
    try:
        async with open_channel(peer) as channel:
            stub = kv_pb2_grpc.KvSourceStub(channel)
            try:
                typer.echo(f"control: {statistics.median([await _round_trip(stub) for _ in range(ROUNDS)]):.2f} ms")
                call = stub.Read(kv_pb2.ReadRequest(handle_id="probe"), timeout=DEADLINE_S)
                told = (await call.initial_metadata()).get(ENDPOINTS_KEY, "")
                token, ready = (await call.read()).granted.data_token, (await call.read()).pages_ready
            except grpc.aio.AioRpcError as error:
                raise ConfigError(
                    f"{peer}: {error.details()}; run `bagel doctor transport --listen HOST:PORT` there, and let its"
                    " port through the firewall"
                ) from error
            try:
                offered = json.loads(told)
            except ValueError as error:
                raise ConfigError(f"{peer}: something else listens there than `bagel doctor transport`") from error
            findings = []
            for transport, address, secure in offered:
                request = _request(address, token, ready, landing)
                endpoint = Endpoint(transport, address, secure)
                findings.append(await asyncio.to_thread(_try, planes, endpoint, request))
            call.cancel()
            return findings
    finally:
        planes.close()


def explain(findings: list[Finding]) -> str:
    """What would be taken, and what to do about what is missing."""
    working = [finding for finding in findings if finding.problem is None]
    if not working:
        return "no way works: let the data ports through the firewall, or name reachable hosts with --kv-advertise-host"
    chosen = working[0]
    advice = f"a DiT here would take {chosen.transport}"
    if chosen.gb_per_s < SLOW_GB_PER_S:
        advice += f"; {chosen.gb_per_s * 8:.1f} Gbit/s is little: look at the network, or use RDMA"
    return advice


async def _round_trip(stub: kv_pb2_grpc.KvSourceStub) -> float:
    """Milliseconds to open a grant."""
    started = time.perf_counter()
    call = stub.Read(kv_pb2.ReadRequest(handle_id="probe"), timeout=DEADLINE_S)
    await call.read()
    call.cancel()
    return (time.perf_counter() - started) * 1e3


def _try(planes: Planes, endpoint: Endpoint, request: FetchRequest) -> Finding:
    plane: DataPlane | None = next((p for p in planes.all if p.capabilities.name == endpoint.transport), None)
    problem = "not enabled on this node" if plane is None else plane.unreachable(endpoint.address)
    if plane is None or problem is not None:
        return Finding(endpoint.transport, endpoint.secure, problem)
    try:
        rates = [report.num_bytes / report.seconds for report in (_fetch(plane, request) for _ in range(ROUNDS))]
    except TransportError as error:
        return Finding(endpoint.transport, endpoint.secure, str(error))
    return Finding(endpoint.transport, endpoint.secure, None, statistics.median(rates) / 1e9)


def _fetch(plane: DataPlane, request: FetchRequest) -> FetchReport:
    return plane.fetch(request, threading.Event())


def _request(address: str, token: bytes, ready: kv_pb2.PagesReady, landing: Region) -> FetchRequest:
    return FetchRequest(
        address=address, epoch=1, token=token, copies=in_order(wire.runs_from_proto(ready.runs)),
        digests=list(ready.digests), generations=list(ready.generations), page_bytes=PAGE_BYTES, into=landing,
        deadline_s=time.monotonic() + DEADLINE_S,
    )  # fmt: skip
