"""The machine: Python, cores, memory, shared memory, open files, ports."""

import fcntl
import mmap
import os
import platform
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from services.cli.checks.findings import Finding, fail, ok, size, warn

PYTHONS = ((3, 11), (3, 14))  # from the first, before the second
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
LEAST_FILES = 1024  # each connection is one; a gateway keeps hundreds
LEAST_CORES = 2


def check_machine() -> Iterator[Finding]:
    """All but memory, which depends on the model."""
    yield _python()
    yield _cores()
    yield _shared_memory()
    yield _open_files()


def check_memory(weights_bytes: int) -> Finding:
    """Whether a model's weights could lie in memory. Thinker and DiT each load their part of the files."""
    available = available_bytes()
    if available is None:
        return warn("memory", "this system tells nobody how much is free", "serve on Linux")
    found = f"{size(available)} available, {size(weights_bytes)} of weights"
    if available < weights_bytes:
        return warn("memory", found, "serve from a machine with more, or a GPU that holds them; close what you can")
    return ok("memory", found)


def check_port(host: str, port: int) -> Finding:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            cure = "end what listens there, or serve on another with `bagel serve --port`"
            return fail(f"port {port}", f"cannot be listened on ({error.strerror})", cure)
    return ok(f"port {port}", f"free on {host}")


def available_bytes() -> int | None:
    """Memory that a process may still take: of the machine, and of its control group where that has a limit."""
    try:
        fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return None
    try:
        limit, used = (CGROUP / "memory.max").read_text().strip(), int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return available if limit == "max" else min(available, int(limit) - used)


def _python() -> Finding:
    least, below = PYTHONS
    found = f"{platform.python_version()} at {sys.executable}, {platform.system()} {platform.machine()}"
    if not least <= sys.version_info[:2] < below:
        return fail("python", found, f"use Python 3.{least[1]} to 3.{below[1] - 1}")
    if sys.platform != "linux":
        return warn("python", found, "clients run here; serve on Linux")
    return ok("python", found)


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if cores < LEAST_CORES:
        return warn("cores", str(cores), f"give it {LEAST_CORES}: gateway and stages wait for each other otherwise")
    return ok("cores", str(cores))


def _shared_memory() -> Finding:
    """The memory that a Thinker shares with a DiT on the same host."""
    cure = "pages move over zeromq instead; allow memfd_create in this container to share them"
    try:
        fd = os.memfd_create("bagel-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError) as error:
        return warn("shared memory", f"there is none ({error})", cure)
    try:
        os.ftruncate(fd, mmap.PAGESIZE)
        mmap.mmap(fd, mmap.PAGESIZE).close()
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    except OSError as error:
        return warn("shared memory", f"cannot be sealed ({error.strerror})", cure)
    finally:
        os.close(fd)
    return ok("shared memory", "can be made, mapped and sealed")


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft} a process"
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        return warn("open files", found, f"raise it where the gateway runs: ulimit -n {LEAST_FILES}")
    return ok("open files", found)
