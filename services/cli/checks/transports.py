"""Which ways KV pages could take from here. Between two nodes `bagel doctor transport` measures them."""

import importlib.util
import resource
from collections.abc import Iterator
from pathlib import Path

from services.cli.checks.findings import Finding, fail, ok, size, warn
from services.cli.checks.machine import check_port
from services.cli.checks.probe import probe
from services.cli.mooncake_master import MASTER_PORT, METADATA_PORT, METRICS_PORT
from transport.mooncake_install import installed

RDMA_DEVICES = Path("/sys/class/infiniband")  # importing it from transport.stage would load torch


def check_transports() -> Iterator[Finding]:
    """ZeroMQ, Mooncake, RDMA; shared memory is checked with the machine."""
    if importlib.util.find_spec("zmq") is None:
        yield warn("zeromq", "pyzmq is missing", "for stages on several hosts: pip install 'bagel-serve[stage]'")
    else:
        yield ok("zeromq", "can be used between hosts; `bagel doctor transport` measures a link")
    yield from _mooncake()


def check_mooncake() -> Finding:
    """Whether Mooncake loads here."""
    problem = probe("mooncake").get("problem")
    if problem is None:
        return ok("mooncake", f"{', '.join(sorted(installed()))} loads")
    found, _, cure = str(problem).rpartition(": ")
    return fail("mooncake", found, cure)


def rdma_devices() -> list[str]:
    """Names of the RDMA devices of this host."""
    return sorted(path.name for path in RDMA_DEVICES.iterdir()) if RDMA_DEVICES.is_dir() else []


def _mooncake() -> Iterator[Finding]:
    if not installed():
        yield ok("mooncake", "not installed, which only links with RDMA miss")
        return
    yield check_mooncake()
    taken = [port for port in (MASTER_PORT, METADATA_PORT, METRICS_PORT) if check_port("127.0.0.1", port).cure]
    if taken:
        found = f"taken: {', '.join(map(str, taken))}"
        yield warn("mooncake ports", found, "where `bagel mooncake-master` is to run, give it others (--help)")
    else:
        yield ok("mooncake ports", f"{MASTER_PORT}, {METADATA_PORT}, {METRICS_PORT} are free for a store's servers")
    devices = rdma_devices()
    if not devices:
        yield ok("rdma", "no device: Mooncake goes over TCP")
        return
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if locked == resource.RLIM_INFINITY:
        yield ok("rdma", ", ".join(devices))
    else:
        found = f"{', '.join(devices)}, but only {size(locked)} may be locked"
        yield warn("rdma", found, "let processes register their memory: ulimit -l unlimited")
