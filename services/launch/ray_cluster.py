"""A Ray cluster: one of our own on this machine, or one that is there. Ray itself is loaded here and in `ray_running`.

Its usage statistics are off. Our own cluster has no dashboard, and a token of its own, which Ray asks every caller for.
"""

import importlib.util
import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bagel import defaults
from bagel.addresses import host_towards, split_address
from bagel.errors import ConfigError
from bagel.logs import get_logger

AUTO = "auto"
MISSING = "--worker-backend ray: Ray is not installed; pip install 'bagel-serve[ray]'"
MAX_TEMP_PATH = 40  # Ray adds up to 66 characters for its sockets, whose paths have room for 107
OBJECT_STORE_BYTES = 80 << 20  # nothing of ours goes through it; Ray takes no less than 75 MiB
REACH_S = 5.0
_ANYWHERE = "192.0.2.1:9"  # of the range for documentation: where the default route leads
_ENVIRONMENT = MappingProxyType({"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_COLOR_PREFIX": "0"})


def require_ray(address: str | None) -> None:
    """Raise ConfigError where Ray is not installed, or the address is none. Loads nothing, asks nobody."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(MISSING)
    if address is not None and "://" in address:
        raise ConfigError(
            f"--ray-address {address}: give HOST:PORT of the cluster's head, or auto, on one of its nodes; Ray's client"
            " (ray://) brings no stages to this gateway"
        )
    if address not in (None, AUTO):
        split_address(address, flag="--ray-address")


def own_host(address: str | None) -> str:
    """The host at which stages of a cluster reach the registry here. Raises ConfigError."""
    if address is None:
        return defaults.MASTER_HOST
    return host_towards(_ANYWHERE if address == AUTO else address)


@contextmanager
def joined_cluster(address: str | None, temp: Path, *, num_stages: int) -> Iterator[None]:
    """A cluster for the time of a block; one of our own, when no address is given, ends with it.

    Blocking; from the main thread. Raises ConfigError.
    """
    require_ray(address)
    _check(address, temp)
    os.environ.update(_ENVIRONMENT)
    if address is None:
        os.environ.update(_guarded(temp))
    import ray
    from ray.exceptions import RayError

    own: dict[str, Any] = {
        "num_cpus": max(os.cpu_count() or 1, num_stages),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_temp_dir": str(temp),
    }
    try:
        ray.init(
            address="local" if address is None else address, configure_logging=False, logging_level=logging.WARNING,
            **(own if address is None else {}),
        )  # fmt: skip
    except (OSError, RuntimeError, ValueError, RayError) as error:
        shown = "a local Ray cluster" if address is None else f"--ray-address {address}"
        raise ConfigError(f"{shown}: cannot be used ({str(error).splitlines()[0]})") from error
    try:
        resources = ray.cluster_resources()
        get_logger().info(
            "ray_joined", version=ray.__version__, local=address is None, nodes=len(ray.nodes()),
            cpus=resources.get("CPU", 0), gpus=resources.get("GPU", 0),
        )  # fmt: skip
        yield
    finally:
        ray.shutdown()


def _guarded(temp: Path) -> dict[str, str]:
    """Environment of a cluster that only we may use: by itself Ray would keep a token in the user's home."""
    temp.mkdir(mode=0o700)
    token = temp / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32), encoding="ascii")
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


def _check(address: str | None, temp: Path) -> None:
    """What Ray itself would say late, or in many words. Raises ConfigError."""
    if address is None:
        if len(str(temp)) > MAX_TEMP_PATH:
            raise ConfigError(f"{temp}: too long a path for Ray's sockets; set TMPDIR to a shorter one")
        return
    if address == AUTO:
        return
    host, port = split_address(address, flag="--ray-address")
    try:
        socket.create_connection((host, port), timeout=REACH_S).close()
    except OSError as error:
        raise ConfigError(
            f"--ray-address {address}: nobody answers there ({error.strerror or error}); start the cluster's head with"
            f" `ray start --head --port {port}`, or leave --ray-address out for one on this machine"
        ) from error
