"""The gateway's flags."""

from dataclasses import dataclass

DEFAULT_PORT = 8091
MAX_BODY_BYTES = 64 * 1024 * 1024
# Below the 600 s after which OpenAI's client gives up by itself.
DEFAULT_TIMEOUT_S = 570.0
MODEL_ALIASES = ("bagel", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway is told at start."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    thinkers: tuple[str, ...] = ()
    dits: tuple[str, ...] = ()
    request_timeout_s: float = DEFAULT_TIMEOUT_S
    max_body_bytes: int = MAX_BODY_BYTES
    model_aliases: tuple[str, ...] = MODEL_ALIASES
    drain_s: float = 30.0
    log_format: str = "auto"
    log_level: str = "info"
    die_with_parent: bool = False
