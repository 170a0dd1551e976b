"""Whether a master on another node answers, for those who would rather not wait for it (`--master-wait-s`)."""

import socket
import time

from bagel.addresses import split_address
from bagel.errors import ConfigError

TRY_S = 1.0
PAUSE_S = 0.1


def require_master(address: str, within_s: float) -> None:
    """Raise ConfigError unless somebody listens at the address within so many seconds."""
    host, port = split_address(address, flag="--master-address")
    deadline_s = time.monotonic() + within_s
    while True:
        left_s = deadline_s - time.monotonic()
        try:
            with socket.create_connection((host, port), timeout=min(TRY_S, max(left_s, PAUSE_S))):
                return
        except OSError as error:
            if left_s <= 0:
                raise ConfigError(
                    f"nobody answers at the master's address {address} ({error.strerror or error}), for {within_s:g} s"
                    " (--master-wait-s): start the node with --stage-id 0 there, and check --master-address,"
                    " --master-port and firewalls between"
                ) from error
        time.sleep(PAUSE_S)
