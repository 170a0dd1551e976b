"""What a registry knows of a worker, as plain records. Knows neither protos nor sockets nor a clock."""

from dataclasses import dataclass, field
from enum import StrEnum

# Of `registry.proto`, counted up on incompatible change.
PROTOCOL_VERSION = 1


class Kind(StrEnum):
    """What a worker serves."""

    THINKER = "thinker"
    DIT = "dit"


class MemberState(StrEnum):
    """Whether a worker takes requests."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy a worker is: requests on its device and before it, free pages of KV memory."""

    running: int = 0
    queued: int = 0
    free_pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One worker.

    `epoch` is the registry's: unique, increasing over its restarts, 0 before the worker has joined. `boot_epoch` is the
    process's own, which its GetStatus tells: a process that started again has another.
    """

    worker_id: str
    kind: Kind
    address: str
    model_name: str
    model_hash: str
    boot_epoch: int
    epoch: int = 0
    state: MemberState = MemberState.LOADING
    load: Load = field(default_factory=Load)
