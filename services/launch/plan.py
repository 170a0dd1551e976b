"""Which processes a node runs, with which arguments. What needs the machine is handed in, but for this process's id."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from bagel.addresses import join_address
from bagel.checkpoint import ModelSource
from services.launch.deploy.load import Deployment
from services.launch.deploy.sampling import default_sampling
from services.launch.deploy.schema import StageFields
from services.launch.machine import VISIBLE, share_devices
from services.launch.options import ServeOptions
from services.launch.pipelines import PipelineStage
from services.launch.topology import Topology, with_port


class Role(StrEnum):
    """What a process is, in the order in which they stop."""

    GATEWAY = "gateway"
    STAGE = "stage"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process. `tells_ready`: it takes `--ready-fd`. `overlaps`: its successor may start before it stops."""

    name: str
    command: tuple[str, ...]
    role: Role = Role.STAGE
    env: Mapping[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    tells_ready: bool = False
    overlaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """Everything that decides what is started."""

    options: ServeOptions
    deployment: Deployment
    topology: Topology
    source: ModelSource
    runtime: Path  # a folder for sockets
    launch_id: str  # of this start alone: containers share host names and process ids
    stage_file: Path | None = None  # what stages read of the deploy file
    platform: str = "cpu"
    visible: str | None = None  # the environment's devices
    assigns_devices: bool = True  # else whoever starts the stages does
    http_fd: int | None = None  # a socket that listens already


def plan_children(plan: NodePlan) -> list[ChildSpec]:
    """Stages, then registry and gateway where they are. Raises ConfigError: devices that cannot be shared out."""
    children: list[ChildSpec] = []
    addresses: list[tuple[PipelineStage, str]] = []
    for stage in plan.topology.stages:
        for spec, address in _replicas(plan, stage, first_index=len(children)):
            children.append(spec)
            addresses.append((stage, address))
    if plan.topology.registry is not None:
        children.append(_registry(plan, plan.topology.registry))
    if plan.topology.gateway:
        children.append(_gateway(plan, addresses))
    return children


def count_stages(deployment: Deployment, topology: Topology) -> int:
    """Processes of stages on this node."""
    return sum(deployment.fields_of(stage).num_replicas or 1 for stage in topology.stages)


def _replicas(plan: NodePlan, stage: PipelineStage, first_index: int) -> Iterator[tuple[ChildSpec, str]]:
    """Each process of a stage with its address."""
    fields = plan.deployment.fields_of(stage)
    count = fields.num_replicas or 1
    shares: tuple[str, ...] | None = None
    if fields.devices is not None and plan.assigns_devices and plan.platform != "cpu":
        shares = share_devices(fields.devices, count, plan.visible)
    for index in range(count):
        name = replica_name(stage, index)
        address = f"unix:{plan.runtime}/{name}.sock"
        env = {**({} if shares is None else {VISIBLE: shares[index]}), **(fields.env or {})}
        arguments = (
            *_model_flags(plan), *_limit_flags(fields), *_shared_flags(plan.options),
            *(_join_flags(plan, name) if plan.topology.master else ("--bind", address, *_kv_socket(plan, stage, name))),
            *_metrics(plan.options, first_index + index),
        )  # fmt: skip
        yield _child(name, stage.module, *arguments, env=env, tells_ready=True), address


def replica_name(stage: PipelineStage, index: int) -> str:
    """Of a stage's process, counted from 0."""
    return stage.name if index == 0 else f"{stage.name}-{index}"


def _model_flags(plan: NodePlan) -> tuple[str, ...]:
    options, source = plan.options, plan.source
    return (
        "--model", str(source.folder), "--model-name", source.name,
        "--load-format", "dummy" if source.dummy else "safetensors",
        "--device", options.device, "--dtype", options.dtype, "--threads", str(options.threads),
        "--kv-page-tokens", str(options.kv_page_tokens), "--kv-pool-tokens", str(options.kv_pool_tokens),
        "--transport", options.transport, "--kv-verify", options.kv_verify, "--max-queue", str(options.max_queue),
        "--plain-progress", *(("--deploy-config", str(plan.stage_file)) if plan.stage_file else ()),
    )  # fmt: skip


def _limit_flags(fields: StageFields) -> tuple[str, ...]:
    """What the deploy file says; the rest is left to the stage."""
    flags = [] if fields.tasks is None else ["--tasks", ",".join(fields.tasks)]
    for flag, value in (
        ("--max-num-seqs", fields.max_num_seqs), ("--max-num-batched-tokens", fields.max_num_batched_tokens),
        ("--max-model-len", fields.max_model_len), ("--gpu-memory-utilization", fields.gpu_memory_utilization),
    ):  # fmt: skip
        flags += [] if value is None else [flag, str(value)]
    return tuple(flags)


def _join_flags(plan: NodePlan, name: str) -> tuple[str, ...]:
    """For a stage that others dial. What is not said here follows from the way to the master."""
    placement = plan.options.placement
    assert plan.topology.master is not None
    flags = ["--master", plan.topology.master, "--worker-id", f"{os.uname().nodename}-{plan.launch_id}-{name}"]
    if placement.join_token_file is not None:
        flags += ["--join-token-file", str(Path(placement.join_token_file).absolute())]
    if placement.bind is not None:
        flags += ["--bind", with_port(placement.bind)]
    if placement.advertise_address is not None:
        flags += ["--advertise-address", with_port(placement.advertise_address)]
    return tuple(flags)


def _kv_socket(plan: NodePlan, stage: PipelineStage, name: str) -> tuple[str, ...]:
    """Where a stage that others read from serves pages on this node."""
    return ("--kv-bind", f"ipc://{plan.runtime}/kv-{name}.sock") if stage.sends is not None else ()


def _registry(plan: NodePlan, bind: str) -> ChildSpec:
    token = plan.options.placement.join_token_file
    joining = () if token is None else ("--join-token-file", token)
    return _child("registry", "services.registry", "--bind", bind, *joining, *_logs(plan.options), role=Role.REGISTRY)


def _gateway(plan: NodePlan, addresses: list[tuple[PipelineStage, str]]) -> ChildSpec:
    options, token = plan.options, plan.options.placement.join_token_file
    known: list[str] = []
    if plan.topology.master is not None:
        known = ["--master", plan.topology.master, *(() if token is None else ("--join-token-file", token))]
    else:
        for stage, address in addresses:
            known += [*(("--thinker", address) if stage.writes else ()), *(("--dit", address) if stage.draws else ())]
    fds = () if plan.http_fd is None else (plan.http_fd,)
    sampling = default_sampling(plan.deployment)
    return _child(
        "gateway", "services.gateway", "--host", options.host, "--port", str(options.port), *known,
        *(word for fd in fds for word in ("--fd", str(fd))),
        *(("--think",) if options.think or plan.deployment.pipeline.think else ()),
        *(("--default-sampling", sampling) if sampling is not None else ()),
        "--request-timeout-s", str(options.request_timeout_s), *_grpc_flags(options),
        *_admission_flags(options), *_inflight_flags(plan), *_shared_flags(options),
        role=Role.GATEWAY, fds=fds, tells_ready=True, overlaps=options.grpc_port is None,
    )  # fmt: skip


def _inflight_flags(plan: NodePlan) -> tuple[str, ...]:
    """Requests that a stage gets at once, of texts and of pictures; the strongest word wins."""
    told = {True: plan.deployment.part.max_inflight, False: plan.deployment.part.max_inflight}
    for stage in plan.deployment.pipeline.stages:
        own = plan.deployment.fields_of(stage).max_inflight
        told.update({draws: own for draws in (stage.draws, not stage.writes) if own is not None})
    texts, pictures = (plan.options.max_running or told[draws] for draws in (False, True))
    flags = [] if texts is None else ["--max-running", str(texts)]
    return (*flags, *([] if pictures in (None, texts) else ["--max-running-pictures", str(pictures)]))


def _admission_flags(options: ServeOptions) -> tuple[str, ...]:
    flags = ["--max-queue", str(options.max_queue)]
    for flag, value in (
        ("--hang-s", options.hang_s), ("--api-keys", options.api_keys), ("--key-per-minute", options.key_per_minute),
        ("--key-at-once", options.key_at_once),
    ):  # fmt: skip
        flags += [] if value is None else [flag, str(value)]
    return (*flags, *(["--fetch-images"] if options.fetch_images else []))


def _shared_flags(options: ServeOptions) -> tuple[str, ...]:
    return (*_logs(options), "--drain-s", str(options.drain_s))


def _logs(options: ServeOptions) -> tuple[str, ...]:
    return ("--log-format", options.log_format, "--log-level", options.log_level)


def _metrics(options: ServeOptions, index: int) -> tuple[str, ...]:
    """Neighbouring ports, unless any will do."""
    if options.metrics_port is None:
        return ()
    return ("--metrics-bind", join_address(options.host, options.metrics_port + index if options.metrics_port else 0))


def _grpc_flags(options: ServeOptions) -> tuple[str, ...]:
    return () if options.grpc_port is None else ("--grpc-bind", join_address(options.host, options.grpc_port))


def _child(
    name: str, module: str, *arguments: str, role: Role = Role.STAGE, env: Mapping[str, str] | None = None,
    fds: tuple[int, ...] = (), tells_ready: bool = False, overlaps: bool = False,
) -> ChildSpec:  # fmt: skip
    return ChildSpec(name, (*_tied(), module, *arguments), role, env or {}, fds, tells_ready, overlaps)


def adopted(spec: ChildSpec) -> ChildSpec:
    """A child that was planned elsewhere, perhaps on another host, as one of this process."""
    return replace(spec, command=(*_tied(), *spec.command[len(_tied()) :]))


def _tied() -> tuple[str, ...]:
    return (sys.executable, "-m", "services.launch.child", str(os.getpid()))
