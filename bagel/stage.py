"""What the Thinker's and the DiT's processes share: flags, state, server, signals, draining.

Knows nothing of what a stage computes: `run_stage` is handed a function that adds its services and one that loads.
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from bagel import __version__
from bagel.checkpoint import DEFAULT_MODEL, LOAD_FORMATS
from bagel.errors import BagelError, ConfigError, NotReadyError
from bagel.logs import configure_logs, get_logger
from bagel.process import die_with_parent
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor
from bagel.stage_exit import EXIT_CONFIG
from bagel.v1 import settings_pb2

STOP_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """Flags that every stage has."""

    model: str = DEFAULT_MODEL
    model_name: str | None = None
    load_format: str = "auto"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    bind: str = "127.0.0.1:0"
    advertise_address: str | None = None
    admin_bind: str | None = None
    transport: str = "zeromq"
    kv_bind: str = "tcp://127.0.0.1:0"
    kv_advertise_host: str | None = None
    kv_page_tokens: int = 16
    kv_pool_tokens: int = 32768
    max_queue: int = 64
    drain_s: float = 30.0
    threads: int = 0
    log_format: str = "auto"
    log_level: str = "info"
    plain_progress: bool = False
    die_with_parent: bool = False


_HELP = {
    "model": "local folder, Hugging Face id, or a bundled configuration",
    "model_name": "name that clients use; default: that of the model",
    "load_format": f"one of {', '.join(LOAD_FORMATS)}; dummy draws seeded random weights",
    "revision": "commit, tag or branch of the hub",
    "device": "auto, cpu, cuda or cuda:N",
    "dtype": "auto, float32 or bfloat16",
    "bind": "gRPC address: host:port, [host]:port or unix:path; port 0 takes any",
    "advertise_address": "gRPC address that others dial; default: the bound one",
    "admin_bind": "address for gRPC reflection; off by default",
    "transport": "how KV pages move: zeromq",
    "kv_bind": "where KV pages are served (Thinker): tcp://host:port or ipc://path",
    "kv_advertise_host": "host in the address of KV pages that others dial",
    "kv_page_tokens": "tokens a KV page",
    "kv_pool_tokens": "tokens of KV memory",
    "max_queue": "requests that may wait; further ones are refused",
    "drain_s": "seconds that running requests get after SIGTERM",
    "threads": "CPU threads for torch; 0 leaves it to torch",
    "log_format": "auto, text or json",
    "log_level": "debug, info, warning or error",
    "plain_progress": "log lines instead of a progress bar",
    "die_with_parent": "stop when the parent process does",
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
    """The parsed flags."""
    return StageConfig(**{field.name: getattr(options, field.name) for field in fields(StageConfig)})


class StageMonitor:
    """The state that a stage reports; written by its own process only."""

    def __init__(self) -> None:
        self.epoch = time.time_ns() & (2**53 - 1)
        self.state = settings_pb2.STAGE_STATE_LOADING
        self.address = ""
        self._detail: Callable[[], str] = lambda: "starting"

    def explain(self, detail: Callable[[], str]) -> None:
        """How to tell people what the stage is doing."""
        self._detail = detail

    def status(self) -> settings_pb2.StageStatus:
        """The part of a status that every stage has."""
        return settings_pb2.StageStatus(state=self.state, detail=self._detail(), epoch=self.epoch)

    def require_ready(self) -> None:
        """Raise NotReadyError unless new requests are taken."""
        if self.state != settings_pb2.STAGE_STATE_READY:
            raise NotReadyError(f"this stage takes no requests now: {self._detail()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageParts:
    """What a stage brings along: its services, how it loads (on the device thread), how it runs and stops."""

    services: tuple[str, ...]
    statuses: Mapping[type[BagelError], grpc.StatusCode]
    add_services: Callable[[grpc.aio.Server], object]
    load: Callable[[], None]
    run: Callable[[], Coroutine[None, None, None]]
    busy: Callable[[], int]
    close: Callable[[], None]


def run_stage(name: str, config: StageConfig, parts: Callable[[StageMonitor, ThreadPoolExecutor], StageParts]) -> int:
    """Run a stage's process until SIGTERM or SIGINT; its exit status."""
    if config.die_with_parent:
        die_with_parent()
    configure_logs(service=name, fmt=config.log_format, level=config.log_level)
    monitor = StageMonitor()
    try:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="device") as device_thread, ExitStack() as stack:
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
    health = HealthServicer()
    server = grpc.aio.server(interceptors=[ErrorInterceptor(stage.statuses)], options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    stage.add_services(server)
    monitor.address = config.advertise_address or _bind(server, config.bind)
    if config.advertise_address:
        _bind(server, config.bind)
    await _set_health(health, stage, serving=False)
    admin = _admin_server(config, stage, health)
    for each in (server, admin):
        if each is not None:
            await each.start()
    get_logger().info("listening", address=monitor.address, epoch=monitor.epoch, version=__version__)
    try:
        await _load_and_run(config, monitor, stage, device_thread, health, stop)
    finally:
        for each in (server, admin):
            if each is not None:
                await each.stop(STOP_GRACE_S)


async def _load_and_run(
    config: StageConfig,
    monitor: StageMonitor,
    stage: StageParts,
    device_thread: ThreadPoolExecutor,
    health: HealthServicer,
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
    await _set_health(health, stage, serving=True)
    get_logger().info("ready", load_s=round(time.monotonic() - started, 2))
    running = asyncio.create_task(stage.run())
    either = {running, stopped}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    monitor.state = settings_pb2.STAGE_STATE_DRAINING
    monitor.explain(lambda: f"draining {stage.busy()} requests")
    await _set_health(health, stage, serving=False)
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


def _admin_server(config: StageConfig, stage: StageParts, health: HealthServicer) -> grpc.aio.Server | None:
    """Reflection, on a port of its own, only where asked for."""
    if config.admin_bind is None:
        return None
    admin = grpc.aio.server(options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health, admin)
    names = (*stage.services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, admin)
    get_logger().info("admin_listening", address=_bind(admin, config.admin_bind))
    return admin


async def _set_health(health: HealthServicer, stage: StageParts, *, serving: bool) -> None:
    response = health_pb2.HealthCheckResponse
    for service in ("", *stage.services):
        await health.set(service, response.SERVING if serving else response.NOT_SERVING)
