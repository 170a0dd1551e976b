"""What the Thinker's and the DiT's processes share: state, server, signals, draining.

Knows nothing of what a stage computes: `run_stage` is handed a function that adds its services and one that loads.
"""

import asyncio
import concurrent.futures
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from bagel import __version__
from bagel.device_thread import DeviceThread
from bagel.errors import BagelError, ConfigError, NotReadyError
from bagel.joining import FoundModel, Joiner, joining
from bagel.logs import configure_logs, get_logger
from bagel.master import read_token
from bagel.member_wire import state_from_proto
from bagel.members import Kind, Load
from bagel.metrics import serve_metrics
from bagel.placing import advertised
from bagel.progress import LoadProgress
from bagel.ready import tell_ready
from bagel.rpc import SERVER_OPTIONS, ErrorInterceptor
from bagel.stage_exit import EXIT_CONFIG, EXIT_HANGING
from bagel.stage_flags import StageConfig
from bagel.tracing import tracing
from bagel.v1 import settings_pb2

STOP_GRACE_S = 2.0


class StageMonitor:
    """The state that a stage reports; written by its own process only."""

    def __init__(self, device: DeviceThread) -> None:
        self._device = device
        self.epoch = time.time_ns() & (2**53 - 1)
        self.state = settings_pb2.STAGE_STATE_LOADING
        self.address = ""
        self.loading: LoadProgress | None = None
        self._detail: Callable[[], str] = lambda: "starting"
        self._found: concurrent.futures.Future[FoundModel] = concurrent.futures.Future()
        self._listeners: list[Callable[[], None]] = []

    def explain(self, detail: Callable[[], str]) -> None:
        """How to tell people what the stage is doing."""
        self._detail = detail

    def enter(self, state: "settings_pb2.StageState", detail: Callable[[], str]) -> None:
        """Go over to another state, and say so to those that listen. In the event loop."""
        self.state = state
        self.explain(detail)
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it when the state has changed."""
        self._listeners.append(listener)

    def find_model(self, name: str, model_hash: str) -> None:
        """Say which model it is, before its weights are there. On any thread; again is allowed."""
        if not self._found.done():
            self._found.set_result(FoundModel(name, model_hash))

    def found_model(self) -> "asyncio.Future[FoundModel]":
        """Which model it is, once that is known."""
        return asyncio.wrap_future(self._found)

    def status(self) -> settings_pb2.StageStatus:
        """The part of a status that every stage has."""
        loaded, total = self.loading.loaded_bytes if self.loading is not None else (0, 0)
        loading = self.state == settings_pb2.STAGE_STATE_LOADING
        return settings_pb2.StageStatus(
            state=self.state,
            detail=self._detail(),
            epoch=self.epoch,
            loaded_bytes=loaded,
            total_bytes=total,
            device_busy_s=0.0 if loading else self._device.busy_s,
        )

    def require_ready(self) -> None:
        """Raise NotReadyError unless new requests are taken."""
        if self.state != settings_pb2.STAGE_STATE_READY:
            raise NotReadyError(f"this stage takes no requests now: {self._detail()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHost:
    """What a process gives to the stages in it."""

    config: StageConfig
    monitor: StageMonitor
    device: DeviceThread
    registry: CollectorRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class StageParts:
    """What a stage brings along: its services, how it loads (on the device thread), how it runs and stops."""

    registry: CollectorRegistry
    services: tuple[str, ...]
    kinds: tuple[Kind, ...]
    statuses: Mapping[type[BagelError], grpc.StatusCode]
    add_services: Callable[[grpc.aio.Server], object]
    load: Callable[[], None]
    run: Callable[[], Coroutine[None, None, None]]
    busy: Callable[[], int]
    measure: Callable[[], Load]
    close: Callable[[], None]


def run_stage(name: str, config: StageConfig, parts: Callable[[StageMonitor, DeviceThread], StageParts]) -> int:
    """Run a stage's process until SIGTERM or SIGINT; its exit status."""
    configure_logs(service=name, fmt=config.log_format, level=config.log_level)
    try:
        with ExitStack() as stack:
            stack.enter_context(tracing(name))
            device = stack.enter_context(DeviceThread())
            monitor = StageMonitor(device)
            stage = parts(monitor, device)
            stack.callback(stage.close)
            asyncio.run(_serve(config, monitor, stage, device))
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG
    return 0


async def _serve(config: StageConfig, monitor: StageMonitor, stage: StageParts, device: DeviceThread) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    servicer = health.aio.HealthServicer()
    server = grpc.aio.server(interceptors=[ErrorInterceptor(stage.statuses)], options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    stage.add_services(server)
    monitor.address = advertised(config.advertise_address, _bind(server, config.bind))
    joiner = _joiner(config, monitor, stage)
    await _set_health(servicer, stage, serving=False)
    admin = _admin_server(config, stage, servicer)
    for each in (server, admin):
        if each is not None:
            await each.start()
    metrics = {"metrics": serve_metrics(config.metrics_bind, stage.registry)} if config.metrics_bind else {}
    get_logger().info("listening", address=monitor.address, epoch=monitor.epoch, version=__version__, **metrics)
    try:
        async with joining(joiner, monitor.found_model(), monitor.listen) as refused:
            stopped = await _load_and_run(config, monitor, stage, device, servicer, stop, refused)
        if not stopped:
            # The device holds a thread that nothing ends, and Python would wait for it.
            os._exit(EXIT_HANGING)
    finally:
        for each in (server, admin):
            if each is not None:
                await each.stop(STOP_GRACE_S)


async def _load_and_run(
    config: StageConfig,
    monitor: StageMonitor,
    stage: StageParts,
    device: DeviceThread,
    servicer: health.aio.HealthServicer,
    stop: asyncio.Event,
    refused: "asyncio.Future[None]",
) -> bool:
    """Whether everything has stopped; else a piece of work hangs on the device."""
    started = time.monotonic()
    loading = device.run(stage.load)
    stopped = asyncio.create_task(stop.wait())
    either: set[asyncio.Future[Any]] = {loading, stopped, refused}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    # A load cannot be interrupted half way; nothing has been promised to anyone yet.
    if stop.is_set():
        os._exit(0)
    if refused.done():
        get_logger().error("cannot_start", reason=str(refused.exception()))
        os._exit(EXIT_CONFIG)
    loading.result()
    monitor.enter(settings_pb2.STAGE_STATE_READY, lambda: "ready")
    tell_ready(config.ready_fd)
    await _set_health(servicer, stage, serving=True)
    get_logger().info("ready", load_s=round(time.monotonic() - started, 2))
    running = asyncio.create_task(stage.run())
    either = {running, stopped, refused}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    monitor.enter(settings_pb2.STAGE_STATE_DRAINING, lambda: f"draining {stage.busy()} requests")
    await _set_health(servicer, stage, serving=False)
    get_logger().info("draining", requests=stage.busy())
    deadline = time.monotonic() + config.drain_s
    while stage.busy() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    running.cancel()
    # A piece that is on the device may end within the time for draining, or soon.
    _, hanging = await asyncio.wait({running}, timeout=max(STOP_GRACE_S, deadline - time.monotonic()))
    if hanging:
        get_logger().error("device_hangs", busy_s=round(device.busy_s, 1), unfinished=stage.busy())
        return False
    get_logger().info("stopped", unfinished=stage.busy())
    if refused.done():
        refused.result()
    return True


def _joiner(config: StageConfig, monitor: StageMonitor, stage: StageParts) -> Joiner | None:
    """What the stage says at its master, if it has one. Raises ConfigError."""
    if config.master is None:
        return None
    return Joiner(
        master=config.master,
        token=read_token(config.join_token_file),
        worker_id=config.worker_id,
        kinds=stage.kinds,
        address=monitor.address,
        boot_epoch=monitor.epoch,
        state=lambda: state_from_proto(monitor.state),
        load=stage.measure,
    )


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
