"""Free TCP ports for tests."""

import itertools
import os
import socket

# Below those that the kernel gives to whoever binds port 0, in this process or another, until the test binds; above
# those that Mooncake's engines try.
FIRST, MANY, WORKERS = 18_000, 1_700, 8
_START = FIRST + MANY * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS)
_turns = itertools.count(os.getpid())  # a run begins elsewhere than the one before it


def free_port() -> int:
    """A port that nobody listens on now, and that nobody is given before this test takes it."""
    for turn in itertools.islice(_turns, MANY):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _START + turn % MANY))
            except OSError:
                continue
            return _START + turn % MANY
    raise OSError(f"no port from {_START} to {_START + MANY - 1} is free")
