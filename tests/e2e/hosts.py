"""Hosts for end-to-end tests: network namespaces on one bridge, in which processes are started. Needs root, iproute2.

The namespaces have no names and go with the processes that hold them, however those end.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.processes import Process
from tests.transport.namespaces import OWN_NETWORK, NotPermittedError, attempt

BRIDGE, LINK = "bagelbr0", "bagel0"
FAMILIES = {"ipv4": ("10.203.78.", 24), "ipv6": ("fd77:ba9f::", 64)}
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Host:
    """One of them. `name` is its address as it stands in a URL."""

    pid: int
    address: str

    @property
    def name(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    def process(self, module: str, *arguments: str) -> Process:
        """A process on this host; stop it."""
        return Process(module, *arguments, prefix=("nsenter", "--net", f"--target={self.pid}"))

    def thread(self) -> ThreadPoolExecutor:
        """A thread whose sockets are this host's."""
        return ThreadPoolExecutor(1, initializer=_enter, initargs=(self.pid,))


@contextmanager
def hosts_of(family: str, count: int) -> Iterator[list[Host]]:
    """So many hosts in one network. Raises NotPermittedError."""
    prefix, bits = FAMILIES[family]
    attempt([*OWN_NETWORK, "true"])
    with ExitStack() as stack:
        hosts = [Host(stack.enter_context(_namespace()), f"{prefix}{number + 1}") for number in range(count)]
        _inside(hosts[0], "link", "add", BRIDGE, "type", "bridge")
        for number, host in enumerate(hosts[1:]):
            port = f"port{number}"
            attempt(["ip", "link", "add", "name", port, "netns", str(hosts[0].pid), "type", "veth",
                     "peer", "name", LINK, "netns", str(host.pid)])  # fmt: skip
            _inside(hosts[0], "link", "set", port, "master", BRIDGE, "up")
        for host in hosts:
            device = BRIDGE if host is hosts[0] else LINK
            # Without `nodad` an IPv6 address is of no use for its first second.
            lasting = ("nodad",) if ":" in host.address else ()
            _inside(host, "addr", "add", f"{host.address}/{bits}", "dev", device, *lasting)
            for name in ("lo", device):
                _inside(host, "link", "set", name, "up")
        yield hosts


@contextmanager
def _namespace() -> Iterator[int]:
    """A network of its own; the pid of the process that holds it."""
    holder = subprocess.Popen([*OWN_NETWORK, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        # It answers, so it is inside.
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        holder.stdout.read(1)
        yield holder.pid
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(10)


def _inside(host: Host, *command: str) -> None:
    attempt(["nsenter", "--net", f"--target={host.pid}", "ip", *command])


def _enter(pid: int) -> None:
    """Bring this thread, and no other, into a process's network."""
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET):
            raise NotPermittedError(f"setns: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(network)
