"""Which processes a node runs, with which arguments. Pure, except that a model id is resolved once for all of them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bagel import defaults
from bagel.checkpoint import ModelSource, resolve_model


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What `bagel serve` was told."""

    model: str = defaults.MODEL
    host: str = defaults.HTTP_HOST
    port: int = defaults.HTTP_PORT
    load_format: str = "auto"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    kv_page_tokens: int = defaults.KV_PAGE_TOKENS
    kv_pool_tokens: int = defaults.KV_POOL_TOKENS
    transport: str = "auto"
    kv_verify: str = "auto"
    deploy_config: str | None = None
    metrics_port: int | None = None
    grpc_port: int | None = None
    max_queue: int = defaults.MAX_QUEUE
    max_running: int = defaults.MAX_RUNNING
    api_keys: str | None = None
    key_per_minute: float | None = None
    key_at_once: int | None = None
    fetch_images: bool = False
    request_timeout_s: float = defaults.REQUEST_TIMEOUT_S
    drain_s: float = defaults.DRAIN_S
    log_format: str = "auto"
    log_level: str = "info"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process."""

    name: str
    command: tuple[str, ...]


def plan_children(options: ServeOptions, runtime: Path) -> list[ChildSpec]:
    """Thinker, DiT and gateway, stages on unix sockets in `runtime`. May download. Raises ConfigError."""
    source = resolve_model(options.model, load_format=options.load_format, revision=options.revision)
    thinker, dit = f"unix:{runtime}/thinker.sock", f"unix:{runtime}/dit.sock"
    common = _stage_flags(options, source)
    shared = ("--log-format", options.log_format, "--log-level", options.log_level)
    drain = ("--drain-s", str(options.drain_s))
    return [
        _child(
            "thinker", *common, *shared, *drain, "--bind", thinker, "--kv-bind", f"ipc://{runtime}/kv.sock",
            *_metrics(options, 0),
        ),
        _child("dit", *common, *shared, *drain, "--bind", dit, *_metrics(options, 1)),
        _child(
            "gateway", "--host", options.host, "--port", str(options.port), "--thinker", thinker, "--dit", dit,
            "--request-timeout-s", str(options.request_timeout_s), *_grpc_flags(options), *_admission_flags(options),
            *shared, *drain,
        ),
    ]  # fmt: skip


def _admission_flags(options: ServeOptions) -> tuple[str, ...]:
    flags = ["--max-queue", str(options.max_queue), "--max-running", str(options.max_running)]
    for flag, value in (
        ("--api-keys", options.api_keys), ("--key-per-minute", options.key_per_minute),
        ("--key-at-once", options.key_at_once),
    ):  # fmt: skip
        flags += [] if value is None else [flag, str(value)]
    return (*flags, *(["--fetch-images"] if options.fetch_images else []))


def _stage_flags(options: ServeOptions, source: ModelSource) -> tuple[str, ...]:
    return (
        "--model", str(source.folder), "--model-name", source.name,
        "--load-format", "dummy" if source.dummy else "safetensors",
        "--device", options.device, "--dtype", options.dtype, "--threads", str(options.threads),
        "--kv-page-tokens", str(options.kv_page_tokens), "--kv-pool-tokens", str(options.kv_pool_tokens),
        "--transport", options.transport, "--kv-verify", options.kv_verify, "--max-queue", str(options.max_queue),
        "--plain-progress", *(("--deploy-config", options.deploy_config) if options.deploy_config else ()),
    )  # fmt: skip


def _metrics(options: ServeOptions, index: int) -> tuple[str, ...]:
    """Neighbouring ports, unless any will do."""
    if options.metrics_port is None:
        return ()
    return ("--metrics-bind", f"{_host(options)}:{options.metrics_port + index if options.metrics_port else 0}")


def _grpc_flags(options: ServeOptions) -> tuple[str, ...]:
    return () if options.grpc_port is None else ("--grpc-bind", f"{_host(options)}:{options.grpc_port}")


def _host(options: ServeOptions) -> str:
    return f"[{options.host}]" if ":" in options.host else options.host


def _child(name: str, *arguments: str) -> ChildSpec:
    tied = (sys.executable, "-m", "services.launch.child", str(os.getpid()))
    return ChildSpec(name, (*tied, f"services.{name}", *arguments))
