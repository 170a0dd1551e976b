"""What the Thinker's and the DiT's processes share: flags, state, server, signals, draining.

Knows nothing of what a stage computes: `run_stage` is handed a function that adds its services and one that loads.
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from bagel import __version__, defaults
from bagel.checkpoint import LOAD_FORMATS
from bagel.defaults import LOG_FORMATS, LOG_LEVELS
from bagel.errors import BagelError, ConfigError, NotReadyError
from bagel.logs import configure_logs, get_logger
from bagel.metrics import serve_metrics
from bagel.progress import LoadProgress
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor
from bagel.stage_exit import EXIT_CONFIG
from bagel.tracing import tracing
from bagel.v1 import settings_pb2

STOP_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """Flags that every stage has."""

    model: str = defaults.MODEL
    model_name: str | None = None
    load_format: str = "auto"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    bind: str = "127.0.0.1:0"
    advertise_address: str | None = None
    admin_bind: str | None = None
    metrics_bind: str | None = None
    transport: str = "auto"
    kv_bind: str = "tcp://127.0.0.1:0"
    kv_socket: str | None = None
    kv_advertise_host: str | None = None
    kv_verify: str = "auto"
    kv_inline_bytes: int = 65_536
    deploy_config: str | None = None
    mooncake_protocol: str = "tcp"
    mooncake_device: str = ""
    mooncake_master: str = "127.0.0.1:50051"
    mooncake_metadata: str = "http://127.0.0.1:8080/metadata"
    kv_page_tokens: int = defaults.KV_PAGE_TOKENS
    kv_pool_tokens: int = defaults.KV_POOL_TOKENS
    max_queue: int = defaults.MAX_QUEUE
    drain_s: float = defaults.DRAIN_S
    threads: int = 0
    log_format: str = "auto"
    log_level: str = "info"
    plain_progress: bool = False

    def __post_init__(self) -> None:
        for name, least in (("kv_page_tokens", 1), ("kv_pool_tokens", 1), ("max_queue", 1), ("threads", 0)):
            _require(getattr(self, name) >= least, name, f"at least {least}")
        _require(self.mooncake_protocol in ("tcp", "rdma"), "mooncake_protocol", "tcp or rdma")
        _require(self.kv_inline_bytes >= 0, "kv_inline_bytes", "0 or more")
        _require(self.kv_verify in ("auto", "always"), "kv_verify", "auto or always")
        _require(self.drain_s >= 0, "drain_s", "0 or more")
        _require(self.log_level in LOG_LEVELS, "log_level", " or ".join(LOG_LEVELS))
        _require(self.log_format in LOG_FORMATS, "log_format", " or ".join(LOG_FORMATS))


_HELP = {
    "model": "local folder, Hugging Face id, or a bundled model",
    "model_name": "name that clients use; default: that of the model",
    "load_format": f"one of {', '.join(LOAD_FORMATS)}; dummy draws seeded random weights",
    "revision": "commit, tag or branch of the hub",
    "device": "auto, cpu, cuda or cuda:N",
    "dtype": "auto, float32 or bfloat16",
    "bind": "gRPC address: host:port, [host]:port or unix:path; port 0 takes any",
    "advertise_address": "gRPC address that others dial; default: the bound one",
    "admin_bind": "address for gRPC reflection; off by default",
    "metrics_bind": "host:port of /metrics over HTTP, port 0 takes any; off by default",
    "transport": "how KV pages move: auto, or of shm, mooncake, mooncake_store, zeromq some with commas, best first",
    "kv_bind": "where KV pages are served over zeromq (Thinker): tcp://host:port or ipc://path",
    "kv_socket": "unix socket of shared memory (Thinker); default: a name outside the file system",
    "kv_inline_bytes": "announcements of at most so many bytes of pages carry them; 0 for none",
    "deploy_config": "YAML file with connectors and stages",
    "mooncake_protocol": "tcp, or rdma, which needs a device",
    "mooncake_device": "name of the RDMA device on a host with several",
    "mooncake_master": "host:port of Mooncake's master, for mooncake_store",
    "mooncake_metadata": "URL of Mooncake's metadata server, for mooncake_store",
    "kv_verify": "auto, or always: check pages by digest even where they are looked at in place",
    "kv_advertise_host": "host in the address of KV pages that others dial",
    "kv_page_tokens": "tokens a KV page",
    "kv_pool_tokens": "tokens of KV memory",
    "max_queue": "requests that may wait; further ones are refused",
    "drain_s": "seconds that running requests get after SIGTERM",
    "threads": "CPU threads for torch; 0 leaves it to torch",
    "log_format": "auto, text or json",
    "log_level": "debug, info, warning or error",
    "plain_progress": "log lines instead of a progress bar",
}


def add_stage_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every field of StageConfig."""
    for field in fields(StageConfig):
        flag, text = "--" + field.name.replace("_", "-"), _HELP[field.name]
        if field.type is bool or field.type == "bool":
            parser.add_argument(flag, action="store_true", help=text)
            continue
        kind = type(field.default) if field.default is not None else str
        parser.add_argument(flag, type=kind, default=field.default, help=f"{text} (default: {field.default})")


def stage_config(options: argparse.Namespace) -> StageConfig:
    """Parsed flags as a config. Raises ConfigError."""
    return StageConfig(**{field.name: getattr(options, field.name) for field in fields(StageConfig)})


def parse_stage_config(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> StageConfig:
    """The parsed flags; a wrong one ends the process with one sentence."""
    options = parser.parse_args(argv)
    try:
        return stage_config(options)
    except ConfigError as error:
        parser.exit(EXIT_CONFIG, f"{parser.prog}: {error}\n")


class StageMonitor:
    """The state that a stage reports; written by its own process only."""

    def __init__(self) -> None:
        self.epoch = time.time_ns() & (2**53 - 1)
        self.state = settings_pb2.STAGE_STATE_LOADING
        self.address = ""
        self.loading: LoadProgress | None = None
        self._detail: Callable[[], str] = lambda: "starting"

    def explain(self, detail: Callable[[], str]) -> None:
        """How to tell people what the stage is doing."""
        self._detail = detail

    def status(self) -> settings_pb2.StageStatus:
        """The part of a status that every stage has."""
        loaded, total = self.loading.loaded_bytes if self.loading is not None else (0, 0)
        return settings_pb2.StageStatus(
            state=self.state, detail=self._detail(), epoch=self.epoch, loaded_bytes=loaded, total_bytes=total
        )

    def require_ready(self) -> None:
        """Raise NotReadyError unless new requests are taken."""
        if self.state != settings_pb2.STAGE_STATE_READY:
            raise NotReadyError(f"this stage takes no requests now: {self._detail()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageParts:
    """What a stage brings along: its services, how it loads (on the device thread), how it runs and stops."""

    registry: CollectorRegistry
    services: tuple[str, ...]
    statuses: Mapping[type[BagelError], grpc.StatusCode]
    add_services: Callable[[grpc.aio.Server], object]
    load: Callable[[], None]
    run: Callable[[], Coroutine[None, None, None]]
    busy: Callable[[], int]
    close: Callable[[], None]


def run_stage(name: str, config: StageConfig, parts: Callable[[StageMonitor, ThreadPoolExecutor], StageParts]) -> int:
    """Run a stage's process until SIGTERM or SIGINT; its exit status."""
    configure_logs(service=name, fmt=config.log_format, level=config.log_level)
    monitor = StageMonitor()
    try:
        with ExitStack() as stack:
            stack.enter_context(tracing(name))
            device_thread = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="device"))
            stage = parts(monitor, device_thread)
            stack.callback(stage.close)
            asyncio.run(_serve(config, monitor, stage, device_thread))
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG
    return 0


async def _serve(
    config: StageConfig, monitor: StageMonitor, stage: StageParts, device_thread: ThreadPoolExecutor
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    servicer = health.aio.HealthServicer()
    server = grpc.aio.server(interceptors=[ErrorInterceptor(stage.statuses)], options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    stage.add_services(server)
    monitor.address = config.advertise_address or _bind(server, config.bind)
    if config.advertise_address:
        _bind(server, config.bind)
    await _set_health(servicer, stage, serving=False)
    admin = _admin_server(config, stage, servicer)
    for each in (server, admin):
        if each is not None:
            await each.start()
    metrics = {"metrics": serve_metrics(config.metrics_bind, stage.registry)} if config.metrics_bind else {}
    get_logger().info("listening", address=monitor.address, epoch=monitor.epoch, version=__version__, **metrics)
    try:
        await _load_and_run(config, monitor, stage, device_thread, servicer, stop)
    finally:
        for each in (server, admin):
            if each is not None:
                await each.stop(STOP_GRACE_S)


async def _load_and_run(
    config: StageConfig,
    monitor: StageMonitor,
    stage: StageParts,
    device_thread: ThreadPoolExecutor,
    servicer: health.aio.HealthServicer,
    stop: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    loading = loop.run_in_executor(device_thread, stage.load)
    stopped = asyncio.create_task(stop.wait())
    either: set[asyncio.Future[Any]] = {loading, stopped}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        # A load cannot be interrupted half way; nothing has been promised to anyone yet.
        os._exit(0)
    loading.result()
    monitor.state = settings_pb2.STAGE_STATE_READY
    monitor.explain(lambda: "ready")
    await _set_health(servicer, stage, serving=True)
    get_logger().info("ready", load_s=round(time.monotonic() - started, 2))
    running = asyncio.create_task(stage.run())
    either = {running, stopped}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    monitor.state = settings_pb2.STAGE_STATE_DRAINING
    monitor.explain(lambda: f"draining {stage.busy()} requests")
    await _set_health(servicer, stage, serving=False)
    get_logger().info("draining", requests=stage.busy())
    deadline = time.monotonic() + config.drain_s
    while stage.busy() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait({running})
    get_logger().info("stopped", unfinished=stage.busy())


def _bind(server: grpc.aio.Server, address: str) -> str:
    """Bind; the address with the port that was taken."""
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"--bind {address}: cannot listen there; is the port taken? ({error})") from error
    if address.startswith("unix:"):
        return address
    return f"{address.rsplit(':', 1)[0]}:{port}"


def _admin_server(
    config: StageConfig, stage: StageParts, servicer: health.aio.HealthServicer
) -> grpc.aio.Server | None:
    """Reflection, on a port of its own, only where asked for."""
    if config.admin_bind is None:
        return None
    admin = grpc.aio.server(options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, admin)
    names = (*stage.services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, admin)
    get_logger().info("admin_listening", address=_bind(admin, config.admin_bind))
    return admin


async def _set_health(servicer: health.aio.HealthServicer, stage: StageParts, *, serving: bool) -> None:
    response = health_pb2.HealthCheckResponse
    for service in ("", *stage.services):
        await servicer.set(service, response.SERVING if serving else response.NOT_SERVING)


def _require(held: bool, name: str, wanted: str) -> None:
    if not held:
        raise ConfigError(f"--{name.replace('_', '-')} must be {wanted}")
