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
    max_queue: int = defaults.MAX_QUEUE
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
        _child("thinker", *common, *shared, *drain, "--bind", thinker, "--kv-bind", f"ipc://{runtime}/kv.sock"),
        _child("dit", *common, *shared, *drain, "--bind", dit),
        _child(
            "gateway", "--host", options.host, "--port", str(options.port), "--thinker", thinker, "--dit", dit,
            "--request-timeout-s", str(options.request_timeout_s), *shared, *drain,
        ),
    ]  # fmt: skip


def _stage_flags(options: ServeOptions, source: ModelSource) -> tuple[str, ...]:
    return (
        "--model", str(source.folder), "--model-name", source.name,
        "--load-format", "dummy" if source.dummy else "safetensors",
        "--device", options.device, "--dtype", options.dtype, "--threads", str(options.threads),
        "--kv-page-tokens", str(options.kv_page_tokens), "--kv-pool-tokens", str(options.kv_pool_tokens),
        "--transport", options.transport, "--kv-verify", options.kv_verify, "--max-queue", str(options.max_queue),
        "--plain-progress", *(("--deploy-config", options.deploy_config) if options.deploy_config else ()),
    )  # fmt: skip


def _child(name: str, *arguments: str) -> ChildSpec:
    tied = (sys.executable, "-m", "services.launch.child", str(os.getpid()))
    return ChildSpec(name, (*tied, f"services.{name}", *arguments))
