"""The registry's flags."""

from dataclasses import dataclass

from bagel.addresses import split_address
from bagel.errors import ConfigError

# Two late heartbeats are forgiven; a lost worker is noticed within 15 s.
SILENT_BEATS = 2.5
LOOK_S = 0.5
LONGEST_BEAT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Everything the registry is told at start. Raises ConfigError."""

    bind: str = "127.0.0.1:8092"
    join_token_file: str | None = None
    heartbeat_s: float = LONGEST_BEAT_S
    drain_s: float = 2.0
    log_format: str = "auto"
    log_level: str = "info"

    def __post_init__(self) -> None:
        split_address(self.bind, flag="--bind")
        if not 0.05 <= self.heartbeat_s <= LONGEST_BEAT_S:
            raise ConfigError(f"--heartbeat-s must be 0.05 to {LONGEST_BEAT_S:g}")
        if self.drain_s < 0:
            raise ConfigError("--drain-s must be 0 or more")

    @property
    def silence_s(self) -> float:
        """A worker that was silent for longer is lost."""
        return SILENT_BEATS * self.heartbeat_s
