"""The gateway's flags."""

from dataclasses import dataclass

from bagel import defaults
from bagel.errors import ConfigError
from bagel.limits import BODY_BYTES
from services.gateway.sampling_defaults import NO_DEFAULTS, SamplingDefaults
from services.gateway.stages import HANG_S

MODEL_ALIASES = ("bagel", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway is told at start. Raises ConfigError for a flag that means nothing without another."""

    host: str = defaults.HTTP_HOST
    port: int = defaults.HTTP_PORT
    fd: int | None = None  # of a socket that listens already, in place of host and port
    ready_fd: int | None = None
    wait_stages_s: float = 0.0
    grpc_bind: str | None = None  # of the public service
    grpc_admin_bind: str | None = None  # of its reflection
    thinkers: tuple[str, ...] = ()
    dits: tuple[str, ...] = ()
    master: str | None = None  # address of the registry
    join_token_file: str | None = None
    hang_s: float = HANG_S
    default_sampling: SamplingDefaults = NO_DEFAULTS
    request_timeout_s: float = defaults.REQUEST_TIMEOUT_S
    max_queue: int = defaults.MAX_QUEUE
    max_running: int = defaults.MAX_RUNNING
    max_running_pictures: int | None = None  # where it is another
    api_keys: str | None = None  # a file
    key_per_minute: float | None = None
    key_at_once: int | None = None
    fetch_images: bool = False
    decoders: int = 2
    max_body_bytes: int = BODY_BYTES.most
    model_aliases: tuple[str, ...] = MODEL_ALIASES
    image_output: str = "content"
    drain_s: float = defaults.DRAIN_S
    log_format: str = "auto"
    log_level: str = "info"

    def __post_init__(self) -> None:
        for flag, value, needed, other in (
            ("--join-token-file", self.join_token_file, "--master", self.master),
            ("--grpc-admin-bind", self.grpc_admin_bind, "--grpc-bind", self.grpc_bind),
            ("--key-per-minute", self.key_per_minute, "--api-keys", self.api_keys),
            ("--key-at-once", self.key_at_once, "--api-keys", self.api_keys),
        ):
            if value is not None and other is None:
                raise ConfigError(f"{flag} means nothing without {needed}")
