"""The gateway's flags."""

from dataclasses import dataclass

from bagel import defaults
from bagel.errors import ConfigError
from bagel.limits import BODY_BYTES

MODEL_ALIASES = ("bagel", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway is told at start. Raises ConfigError for a flag that means nothing without another."""

    host: str = defaults.HTTP_HOST
    port: int = defaults.HTTP_PORT
    grpc_bind: str | None = None  # of the public service
    grpc_admin_bind: str | None = None  # of its reflection
    thinkers: tuple[str, ...] = ()
    dits: tuple[str, ...] = ()
    request_timeout_s: float = defaults.REQUEST_TIMEOUT_S
    max_queue: int = defaults.MAX_QUEUE
    max_running: int = defaults.MAX_RUNNING
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
            ("--grpc-admin-bind", self.grpc_admin_bind, "--grpc-bind", self.grpc_bind),
            ("--key-per-minute", self.key_per_minute, "--api-keys", self.api_keys),
            ("--key-at-once", self.key_at_once, "--api-keys", self.api_keys),
        ):
            if value is not None and other is None:
                raise ConfigError(f"{flag} means nothing without {needed}")
