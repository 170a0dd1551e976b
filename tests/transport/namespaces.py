"""Two peers that are hosts of their own: each in a network namespace, joined by a veth pair. Needs root and iproute2.

The namespaces have no names and go with their peers, however those end.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.transport.peers import PeerProcess, peer_process

OWN_NETWORK = ("unshare", "--net")
LINK = "bagel0"
NOBODY = "02:00:00:00:00:99"  # an Ethernet address that no interface has
NEAR, FAR = 0, 1
# By family: the addresses of both hosts, and how many bits name the network.
FAMILIES = {"ipv4": (("10.203.77.1", "10.203.77.2"), 24), "ipv6": (("fd77:ba9e::1", "fd77:ba9e::2"), 64)}


class NotPermittedError(Exception):
    """This machine lets us make no network; the text says what it refused."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Peers on two hosts, and their addresses in one family."""

    peers: tuple[PeerProcess, PeerProcess]
    addresses: tuple[str, str]

    def unplug(self) -> None:
        """From now on packets of both hosts get lost, and nobody is told."""
        for host, other in ((NEAR, FAR), (FAR, NEAR)):
            command = ("neigh", "replace", self.addresses[other], "lladdr", NOBODY, "nud", "permanent", "dev", LINK)
            _inside(self.peers[host], *command)


@contextmanager
def two_hosts(family: str) -> Iterator[Hosts]:
    """Both peers with a network between them. Raises NotPermittedError."""
    addresses, bits = FAMILIES[family]
    attempt([*OWN_NETWORK, "true"])
    with peer_process(*OWN_NETWORK) as near, peer_process(*OWN_NETWORK) as far:
        peers = (near, far)
        for peer in peers:
            peer.do("state")  # it answers, so it is in its namespace
        ends = ("name", LINK, "netns", str(near.pid)), ("name", LINK, "netns", str(far.pid))
        attempt(["ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1]])
        for peer, address in zip(peers, addresses, strict=True):
            # Without `nodad` an IPv6 address is of no use for its first second.
            lasting = ("nodad",) if ":" in address else ()
            _inside(peer, "addr", "add", f"{address}/{bits}", "dev", LINK, *lasting)
            for device in ("lo", LINK):
                _inside(peer, "link", "set", device, "up")
        yield Hosts(peers, addresses)


def _inside(peer: PeerProcess, *command: str) -> None:
    attempt(["nsenter", "--net", f"--target={peer.pid}", "ip", *command])


def attempt(command: Sequence[str]) -> None:
    """Run a command that makes a part of a network. Raises NotPermittedError."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    except FileNotFoundError as error:
        raise NotPermittedError(f"{command[0]} is missing (Debian: iproute2, util-linux)") from error
    except subprocess.CalledProcessError as error:
        raise NotPermittedError(f"{' '.join(command)}: {error.stderr.strip()}") from error
