"""What a client of Mooncake's store is called at the metadata server: a host and a number that nobody has.

A client that was killed stays there for good. Left alone, Mooncake takes one of 2,000 numbers, tries again where
somebody has it, and forgets to close a socket each time: so the server is asked first, about any of 64,000.
"""

import http.client
import secrets
import urllib.parse
import urllib.request

from transport.mooncake_environment import is_v6

ANSWER_S = 2.0
TRIES = 20
FIRST_NUMBER, LAST_NUMBER = 1_024, 65_535  # it looks like a port and is none: Mooncake opens its ports by itself
KEY = "mooncake/rpc_meta/{name}"


def free_name(host: str, metadata_server: str) -> str:
    """`host:number`; the host alone, which leaves it to Mooncake, where there is no server to ask over HTTP."""
    if not metadata_server.startswith(("http://", "https://")):
        return host
    shown = f"[{host}]" if is_v6(host) else host
    for _ in range(TRIES):
        name = f"{shown}:{secrets.choice(range(FIRST_NUMBER, LAST_NUMBER + 1))}"
        if not _taken(name, metadata_server):
            return name
    return host


def _taken(name: str, metadata_server: str) -> bool:
    """Whether somebody is called so. Of a server that does not answer, or not so, Mooncake has more to say."""
    query = urllib.parse.urlencode({"key": KEY.format(name=name)})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(f"{metadata_server}?{query}", timeout=ANSWER_S).close()
    except (OSError, http.client.HTTPException, ValueError):  # 404 is one
        return False
    return True
