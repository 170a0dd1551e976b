"""The flags that every stage has, as a frozen config, and from a command line to it. Starts nothing."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType
from typing import get_args

from bagel import defaults
from bagel.checkpoint import LOAD_FORMATS
from bagel.defaults import LOG_FORMATS, LOG_LEVELS
from bagel.errors import ConfigError
from bagel.placing import Placing, placed
from bagel.stage_exit import EXIT_CONFIG
from bagel.tasks import read_tasks


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
    master: str | None = None
    join_token_file: str | None = None
    worker_id: str | None = None
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
    tasks: str = defaults.TASKS
    max_num_seqs: int = defaults.MAX_NUM_SEQS
    max_num_batched_tokens: int = defaults.MAX_NUM_BATCHED_TOKENS
    max_model_len: int | None = None
    gpu_memory_utilization: float | None = None
    max_queue: int = defaults.MAX_QUEUE
    drain_s: float = defaults.DRAIN_S
    threads: int = 0
    log_format: str = "auto"
    log_level: str = "info"
    plain_progress: bool = False
    ready_fd: int | None = None

    def __post_init__(self) -> None:
        for name in ("kv_page_tokens", "kv_pool_tokens", "max_queue", "max_num_seqs", "max_num_batched_tokens"):
            _require(getattr(self, name) >= 1, name, "at least 1")
        _require(self.threads >= 0, "threads", "at least 0")
        _require(self.max_model_len is None or self.max_model_len >= 1, "max_model_len", "at least 1")
        share = self.gpu_memory_utilization
        _require(share is None or 0.0 < share <= 1.0, "gpu_memory_utilization", "more than 0 and at most 1")
        read_tasks(self.tasks)
        _require(self.mooncake_protocol in ("tcp", "rdma"), "mooncake_protocol", "tcp or rdma")
        _require(self.kv_inline_bytes >= 0, "kv_inline_bytes", "0 or more")
        _require(self.kv_verify in ("auto", "always"), "kv_verify", "auto or always")
        _require(self.drain_s >= 0, "drain_s", "0 or more")
        _require(self.log_level in LOG_LEVELS, "log_level", " or ".join(LOG_LEVELS))
        _require(self.log_format in LOG_FORMATS, "log_format", " or ".join(LOG_FORMATS))
        for name in ("join_token_file", "worker_id"):
            _require(getattr(self, name) is None or self.master is not None, name, "given together with --master")


_HELP = {
    "model": "local folder, Hugging Face id, or a bundled model",
    "model_name": "name that clients use; default: that of the model",
    "load_format": f"one of {', '.join(LOAD_FORMATS)}; dummy draws seeded random weights",
    "revision": "commit, tag or branch of the hub",
    "device": "auto, cpu, cuda or cuda:N",
    "dtype": "auto, float32 or bfloat16",
    "bind": "gRPC address: host:port, [host]:port or unix:path; port 0 takes any; with --master by itself the address"
    " of this host that leads there",
    "advertise_address": "gRPC address that others dial, HOST or HOST:PORT; default: the bound one",
    "master": "host:port of the registry to join; none by default",
    "join_token_file": "file with the registry's secret",
    "worker_id": "name at the registry; by itself made of kind, host and address",
    "admin_bind": "address for gRPC reflection; off by default",
    "metrics_bind": "host:port of /metrics over HTTP, port 0 takes any; off by default",
    "transport": "how KV pages move: auto, or of shm, mooncake, mooncake_store, zeromq some with commas, best first",
    "kv_bind": "where KV pages are served over zeromq (Thinker): tcp://host:port or ipc://path; with"
    " --master by itself the host of --bind",
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
    "tasks": "what the stage takes, with commas: a Thinker without img2img loads no gen expert, one that is shown no"
    " pictures no ViT",
    "max_num_seqs": "requests that are worked on at once, in turns; the others wait",
    "max_num_batched_tokens": "tokens that one step prefills (Thinker): longer texts are cut; a picture's block is"
    " whole, however large",
    "max_model_len": "tokens of a request's context, at most the model's positions; default: what the KV memory holds",
    "gpu_memory_utilization": "part of a GPU's memory for this stage, 0 to 1: KV memory takes what weights and a"
    " reserve leave of it, in place of --kv-pool-tokens",
    "max_queue": "requests that may wait; further ones are refused",
    "drain_s": "seconds that running requests get after SIGTERM",
    "threads": "CPU threads for torch; 0 leaves it to torch",
    "log_format": "auto, text or json",
    "log_level": "debug, info, warning or error",
    "plain_progress": "log lines instead of a progress bar",
    "ready_fd": "a pipe that gets a byte once the stage is ready",
}
# Where they were not given, a master decides.
_PLACED = ("bind", "kv_bind")


def add_stage_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every field of StageConfig."""
    for field in fields(StageConfig):
        flag, text = "--" + field.name.replace("_", "-"), _HELP[field.name]
        if field.type is bool or field.type == "bool":
            parser.add_argument(flag, action="store_true", help=text)
            continue
        kind = next((each for each in get_args(field.type) if each is not NoneType), field.type)
        assert isinstance(kind, type)
        default = argparse.SUPPRESS if field.name in _PLACED else field.default
        parser.add_argument(flag, type=kind, default=default, help=f"{text} (default: {field.default})")


def stage_config(options: argparse.Namespace) -> StageConfig:
    """Parsed flags as a config. Raises ConfigError."""
    given = {field.name: getattr(options, field.name) for field in fields(StageConfig) if hasattr(options, field.name)}
    config = StageConfig(**given)
    if config.master is None:
        return config
    asked = Placing(
        bind=given.get("bind"),
        advertise_address=config.advertise_address,
        kv_bind=given.get("kv_bind"),
        kv_advertise_host=config.kv_advertise_host,
    )
    found = placed(asked, config.master)
    return replace(
        config,
        bind=found.bind or config.bind,
        advertise_address=found.advertise_address,
        kv_bind=found.kv_bind or config.kv_bind,
        kv_advertise_host=found.kv_advertise_host,
    )


def parse_stage_config(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> StageConfig:
    """The parsed flags; a wrong one ends the process with one sentence."""
    options = parser.parse_args(argv)
    try:
        return stage_config(options)
    except ConfigError as error:
        parser.exit(EXIT_CONFIG, f"{parser.prog}: {error}\n")


def _require(held: bool, name: str, wanted: str) -> None:
    if not held:
        raise ConfigError(f"--{name.replace('_', '-')} must be {wanted}")
