"""The gateway's flags."""

from dataclasses import dataclass

from bagel import defaults
from bagel.limits import BODY_BYTES

MODEL_ALIASES = ("bagel", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway is told at start."""

    host: str = defaults.HTTP_HOST
    port: int = defaults.HTTP_PORT
    thinkers: tuple[str, ...] = ()
    dits: tuple[str, ...] = ()
    request_timeout_s: float = defaults.REQUEST_TIMEOUT_S
    max_body_bytes: int = BODY_BYTES.most
    model_aliases: tuple[str, ...] = MODEL_ALIASES
    image_output: str = "content"
    drain_s: float = defaults.DRAIN_S
    log_format: str = "auto"
    log_level: str = "info"
