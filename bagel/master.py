"""Reaching the registry at `--master`: its channel, its secret, how long to wait, what to say when it does not answer.

Used by workers that join and by gateways that watch. Knows nothing of what they say to it.
"""

import asyncio
import random
import time
from pathlib import Path

import grpc
from grpc import StatusCode

from bagel.errors import ConfigError
from bagel.logs import get_logger
from bagel.rpc import CHANNEL_OPTIONS

ANSWER_S = 4.5  # the registry calls the worker back meanwhile, for at most 4 s
BACKOFF_S = (0.1, 0.8)
REMIND_S = 30.0
# What no further attempt mends.
REFUSALS = (
    StatusCode.UNAUTHENTICATED,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.UNIMPLEMENTED,
)
# A master that is back is found within half a second. An attempt to connect may last 2 s. Each membership has its own
# connection: one that is lost says nothing of another.
_OPTIONS = {
    **dict(CHANNEL_OPTIONS),
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.min_reconnect_backoff_ms": 2_000,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.use_local_subchannel_pool": 1,
}


def open_master(master: str) -> grpc.aio.Channel:
    """A channel to the registry; connects on first use."""
    return grpc.aio.insecure_channel(master, options=tuple(_OPTIONS.items()))


def read_token(path: str | None) -> str | None:
    """The secret in a file, without the blanks around it; None without a file. Raises ConfigError."""
    if path is None:
        return None
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--join-token-file {path}: cannot be read ({error})") from error
    if not token:
        raise ConfigError(f"--join-token-file {path}: is empty; write a secret into it, the same for every process")
    return token


def explain(error: grpc.aio.AioRpcError) -> str:
    """Why a call to the registry failed, for people."""
    if error.code() is StatusCode.UNIMPLEMENTED:
        return "what answers there is no registry; name the address that `python -m services.registry` listens on"
    return last_cause(error)


def last_cause(error: grpc.aio.AioRpcError) -> str:
    """The end of gRPC's own text, which repeats the address for every attempt."""
    details = error.details() or error.code().name
    return details.rsplit("last error: ", 1)[-1].rsplit("connect: ", 1)[-1].removeprefix("UNKNOWN: ")


class Contact:
    """Whether the master answers, told at once when that or the reason changes, and seldom while it stays away; and how
    long to wait meanwhile.

    `known` is whether it ever answered as a registry.
    """

    def __init__(self, master: str) -> None:
        self._master = master
        self._failures = 0
        self.known = False
        self._told: tuple[str, float] = ("", 0.0)  # and when

    def found(self) -> None:
        """It answered."""
        if self.known and self._failures:
            get_logger().info("master_found", master=self._master)
        self.known, self._failures, self._told = True, 0, ("", 0.0)

    def lost(self, reason: str) -> None:
        """It did not, or the stream ended."""
        self._failures += 1
        now_s = time.monotonic()
        if reason == self._told[0] and now_s - self._told[1] < REMIND_S:
            return
        self._told = reason, now_s
        if self.known:
            get_logger().warning("master_lost", master=self._master, reason=reason, hint="trying again and again")
            return
        get_logger().warning(
            "master_unreachable",
            master=self._master,
            reason=reason,
            hint="trying again and again; check --master, that `python -m services.registry` listens there, and that"
            " no firewall is between",
        )

    async def pause(self) -> None:
        """Before the next attempt: longer from failure to failure, and not all workers at the same moment."""
        first_s, most_s = BACKOFF_S
        await asyncio.sleep(min(most_s, first_s * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1.0))
