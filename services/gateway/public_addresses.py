"""Which addresses are the public internet's. Pure: everything else is refused when a stranger names where to fetch."""

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
# Prefixes of IPv6 that lead to an IPv4 address, whatever that is, or to a tunnel's other end; and those that Python's
# own table of special addresses took in only after 3.11.
_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "64:ff9b::/96", "64:ff9b:1::/48",  # NAT64
            "2002::/16", "2001::/23", "::/96", "3fff::/20", "5f00::/16", "fec0::/10",
            "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "100.64.0.0/10",
        ),
    )
)  # fmt: skip


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet: not this host, its networks, a cloud's metadata, a tunnel."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)
