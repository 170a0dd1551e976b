"""`bagel serve`: one node with all its processes."""

import asyncio
import contextlib
import functools
import secrets
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bagel.checkpoint import LOAD_FORMATS, OFFICIAL_ID, TOY, resolve_model
from bagel.config import load_model_config
from bagel.errors import ConfigError
from bagel.logs import configure_logs, get_logger
from bagel.stage_exit import EXIT_CONFIG
from services.launch.backend import WorkerBackend
from services.launch.deploy.checks import Served
from services.launch.deploy.links import links_yaml
from services.launch.deploy.load import Deployment, load_deployment
from services.launch.listening import check_address, check_port, listen_http
from services.launch.machine import platform_of, share_devices, visible_devices
from services.launch.master import require_master
from services.launch.options import ServeOptions
from services.launch.pipelines import detect_pipeline
from services.launch.plan import ChildSpec, NodePlan, count_stages, plan_children
from services.launch.process import Running, Starter
from services.launch.ray_backend import ray_placement, ray_starter
from services.launch.ray_devices import gpu_shares
from services.launch.readiness import count_ready_stages, report_stages_until_ready, report_until_ready
from services.launch.rolling import roll
from services.launch.supervisor import Supervisor
from services.launch.topology import Topology, topology_of, with_port

MAX_RUNTIME_PATH = 80  # a socket's whole path has room for 107 characters
STAGE_FILE = "deploy.yaml"


def serve(options: ServeOptions) -> int:
    """Run until a signal; the exit status."""
    configure_logs(service="bagel", fmt=options.log_format, level=options.log_level)
    try:
        # What is cheap to check comes first: a model may take minutes to fetch.
        platform, visible = platform_of(options.device, visible=visible_devices()), visible_devices()
        deployment = load_deployment(options.deploy, platform, served_model(options.model, options.load_format))
        by_ray = options.worker_backend is WorkerBackend.RAY
        if by_ray:
            options, visible = replace(options, placement=ray_placement(options)), None
        elif options.ray_address is not None:
            raise ConfigError(f"--ray-address {options.ray_address} is for --worker-backend ray: give that, too")
        topology = topology_of(options.placement, deployment.pipeline)
        _check(options, deployment, topology, platform, visible)
        with ExitStack() as stack:
            if (
                topology.registry is None
                and topology.master is not None
                and options.placement.master_wait_s is not None
            ):
                require_master(topology.master, options.placement.master_wait_s)
            listener = _take_ports(options, topology, stack)
            runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bagel-")))
            if len(str(runtime)) > MAX_RUNTIME_PATH:
                raise ConfigError(f"{runtime}: too long a path for unix sockets; set TMPDIR to a shorter one")
            source = resolve_model(options.model, load_format=options.load_format, revision=options.revision)
            detect_pipeline(source.folder)
            plan = NodePlan(
                options=options, deployment=deployment, topology=topology, source=source, runtime=runtime,
                launch_id=secrets.token_hex(4),
                stage_file=_write_stage_file(deployment, runtime), platform=platform, visible=visible,
                http_fd=None if listener is None else listener.fileno(), assigns_devices=not by_ray,
            )  # fmt: skip
            children = plan_children(plan)
            get_logger().info("starting", model=options.model, port=options.port if topology.gateway else None)
            start: Starter = Running.start
            if by_ray:
                gpus = gpu_shares(deployment, topology, platform)
                start = stack.enter_context(ray_starter(options, children, gpus, runtime, plan.stage_file))
            return asyncio.run(_run(options, topology, children, start))
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG


def served_model(model: str, load_format: str) -> Served:
    """What is known of a model without fetching it."""
    here = Path(model).expanduser().is_dir() or model in (TOY, OFFICIAL_ID) or "/" not in model
    if not here or load_format not in LOAD_FORMATS:
        return Served(model=model)
    source = resolve_model(model, load_format="dummy")  # the configuration alone
    llm = load_model_config(source.folder).llm
    return Served(model=model, kv_heads=llm.num_kv_heads, max_positions=llm.max_positions)


async def _run(
    options: ServeOptions, topology: Topology, children: Sequence[ChildSpec], start: Starter
) -> int:  # fmt: skip
    ready = functools.partial(count_ready_stages, options.host, options.port) if topology.gateway else None
    supervisor = Supervisor(
        children, drain_s=options.drain_s, roll=functools.partial(roll, ready_stages=ready), start=start
    )  # fmt: skip
    work = (
        report_until_ready(options.host, options.port)
        if topology.gateway
        else report_stages_until_ready(supervisor.children)
    )
    reporting = asyncio.create_task(work)
    try:
        return await supervisor.run()
    finally:
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting


def _check(
    options: ServeOptions, deployment: Deployment, topology: Topology, platform: str, visible: str | None
) -> None:  # fmt: skip
    """Raises ConfigError; warns of what is left out on this machine; prints what was translated."""
    if deployment.translated is not None:
        print(f"# {options.deploy.stage_configs} as a file for --deploy-config:", file=sys.stderr)
        print(deployment.translated, end="", file=sys.stderr, flush=True)
    placement = options.placement
    for flag, value in (("--bind", placement.bind), ("--advertise-address", placement.advertise_address)):
        count = count_stages(deployment, topology)
        if value is not None and not with_port(value).endswith(":0") and count > 1:
            raise ConfigError(f"{flag} {value}: {count} stages cannot share a port; give the host alone")
    for stage in topology.stages:
        fields = deployment.fields_of(stage)
        devices = fields.devices
        if devices is None:
            continue
        if platform == "cpu":
            get_logger().warning(
                "devices_ignored", stage=stage.name, devices=devices, reason="this node runs on its CPU"
            )
        elif ":" in options.device:
            raise ConfigError(f"--device {options.device}: stage {stage.stage_id} has devices {devices!r}; give one")
        else:
            share_devices(devices, fields.num_replicas or 1, visible)


def _take_ports(options: ServeOptions, topology: Topology, stack: ExitStack) -> socket.socket | None:
    """The gateway's socket, where one is here. Raises ConfigError for each port that cannot be had."""
    if topology.registry is not None:
        check_address(topology.registry, "--master-port, or another --master-address of this node")
    if not topology.gateway:
        return None
    if options.grpc_port is not None:
        check_port(options.host, options.grpc_port, "--grpc-port")
    return stack.enter_context(listen_http(options.host, options.port))


def _write_stage_file(deployment: Deployment, runtime: Path) -> Path | None:
    """What stages read of the deploy file, everything merged."""
    text = links_yaml(deployment.part)
    if text is None:
        return None
    path = runtime / STAGE_FILE
    path.write_text(text, encoding="utf-8")
    return path
