"""What `bagel serve` was told."""

from dataclasses import dataclass, field

from bagel import defaults
from services.launch.backend import WorkerBackend
from services.launch.deploy.load import DeploySources


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which part of a system of several nodes runs here. Nothing said: all of it, reachable by nobody else."""

    stage_id: int | None = None
    headless: bool = False
    master_address: str | None = None  # host
    master_port: int | None = None
    bind: str | None = None  # of stages: host, or host:port
    advertise_address: str | None = None  # the same as others dial it
    join_token_file: str | None = None
    master_wait_s: float | None = None  # for a master of another node to answer; None: as long as it takes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """All flags. What a deploy file can say as well is in `deploy`."""

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
    deploy: DeploySources = field(default_factory=DeploySources)
    placement: Placement = field(default_factory=Placement)
    worker_backend: WorkerBackend = WorkerBackend.PROCESS
    ray_address: str | None = None  # of a cluster that is there; None: one of our own
    think: bool = False
    metrics_port: int | None = None
    grpc_port: int | None = None
    max_queue: int = defaults.MAX_QUEUE
    max_running: int | None = None
    hang_s: float | None = None
    api_keys: str | None = None
    key_per_minute: float | None = None
    key_at_once: int | None = None
    fetch_images: bool = False
    request_timeout_s: float = defaults.REQUEST_TIMEOUT_S
    drain_s: float = defaults.DRAIN_S
    log_format: str = "auto"
    log_level: str = "info"
