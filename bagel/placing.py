"""Where a stage that joins a master listens, and under which addresses others find it, as far as nobody said it.

A stage without a master stays on its own host's loopback. With one it listens on the address from which packets to the
master leave, and on nothing else: whoever reaches the master from there is reached by it, too.
"""

import ipaddress
from dataclasses import dataclass

from bagel.addresses import UNIX, host_towards, is_wildcard, join_address, split_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """gRPC and KV addresses; None where nobody said one.

    `bind` is `host:port` or `unix:path`, `advertise_address` `host` or `host:port` (port 0: the one that was taken),
    `kv_bind` `tcp://host:port` or `ipc://path`.
    """

    bind: str | None
    advertise_address: str | None
    kv_bind: str | None
    kv_advertise_host: str | None


def placed(asked: Placing, master: str) -> Placing:
    """What was asked for, and the rest chosen. May look a name up. Raises ConfigError."""
    own = host_towards(master)
    bind = asked.bind or join_address(own, 0)
    if bind.startswith(UNIX):
        return asked
    bound, _ = split_address(bind, flag="--bind")
    seen = own if is_wildcard(bound) else bound
    kv_seen = None
    if asked.kv_bind is None or is_wildcard(asked.kv_bind.removeprefix("tcp://").rpartition(":")[0].strip("[]")):
        # KV planes want an address; a name that is advertised may not lead straight here.
        kv_seen = _address_of(asked.advertise_address) or seen
    return Placing(
        bind=bind,
        advertise_address=asked.advertise_address or join_address(seen, 0),
        kv_bind=asked.kv_bind or f"tcp://{join_address(bound, 0)}",
        kv_advertise_host=asked.kv_advertise_host or kv_seen,
    )


def advertised(advertise_address: str | None, bound: str) -> str:
    """What others dial, once it is known what was bound. Raises ConfigError."""
    if advertise_address is None or advertise_address.startswith(UNIX) or bound.startswith(UNIX):
        return advertise_address or bound
    host, port = _host_and_port(advertise_address)
    return join_address(host, port or bound.rpartition(":")[2])


def _host_and_port(address: str) -> tuple[str, int]:
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if ":" not in bare or _is_address(bare):
        return bare, 0
    return split_address(address, flag="--advertise-address")


def _address_of(advertise_address: str | None) -> str | None:
    if advertise_address is None or advertise_address.startswith(UNIX):
        return None
    host, _ = _host_and_port(advertise_address)
    return host if _is_address(host) else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
