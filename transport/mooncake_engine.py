"""One Transfer Engine: made, given memory, read with, and ended.

An engine listens on two open ports, of every interface, and lets whoever reaches them read and write the memory that
it knows. Ending one stops all its threads: only then is it sure that nothing of a failed read is written any more.
"""

import contextlib
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from bagel.errors import ConfigError
from transport.base import Region
from transport.mooncake_environment import WireProtocol, is_v6
from transport.mooncake_peer import describe

NO_SERVER = "P2PHANDSHAKE"  # engines ask each other, no metadata server does
INFINIBAND = Path("/sys/class/infiniband")
SELF_TIMEOUT_S = 2.0
# An engine's end waits, and holds Python's interpreter lock meanwhile, until its listener looks up: once a second.
LISTENER_PERIOD_S = 1.0
LOOKS_UP_IN_S = 0.06


def check_device(protocol: WireProtocol, device: str) -> None:
    """Raise ConfigError when RDMA is asked for and there is no such device."""
    if protocol != "rdma":
        return
    found = sorted(path.name for path in INFINIBAND.iterdir()) if INFINIBAND.is_dir() else []
    wanted = [name.strip() for name in device.split(",") if name.strip()]
    missing = [name for name in wanted if name not in found]
    if not found or missing:
        raise ConfigError(
            f"Mooncake is to speak rdma, but {', '.join(missing) or 'no device'} is missing under {INFINIBAND}"
            f" (found: {', '.join(found) or 'none'}): mount /dev/infiniband, load the driver, or take protocol tcp"
        )


class Engine:
    """A Transfer Engine of Mooncake's `module`, known to others as `host:port`.

    Raises ConfigError when it is not what was asked for. `read` may be called from any thread; nobody may be in it when
    `end` is called.
    """

    def __init__(self, module: ModuleType, host: str, protocol: WireProtocol, device: str) -> None:
        self._native = module.TransferEngine()
        if self._native.initialize(host, NO_SERVER, protocol, device) != 0:
            raise ConfigError(
                f"Mooncake's engine does not start at {host} with {protocol} over {device or 'any device'}:"
                " set MC_LOG_LEVEL=INFO to see why"
            )
        self.port = int(self._native.get_rpc_port())
        self._loopback = "::1" if is_v6(host) else "127.0.0.1"
        try:
            said = describe(self._loopback, self.port, timeout_s=SELF_TIMEOUT_S)
        except OSError as error:
            raise ConfigError(f"Mooncake's engine does not answer at {self._loopback}:{self.port}: {error}") from error
        if said.protocol != protocol:
            raise ConfigError(f"Mooncake was told to speak {protocol} and speaks {said.protocol}: look at its devices")

    def register(self, region: Region) -> None:
        """Let the engine, and its peers, reach this memory. Raises ConfigError."""
        self.register_bytes(region.address, region.num_bytes)

    def register_bytes(self, address: int, num_bytes: int) -> None:
        """As `register`, for memory that is no tensor."""
        code = self._native.register_memory(address, num_bytes)
        if code != 0:
            raise ConfigError(
                f"Mooncake refuses {num_bytes} B of memory (error {code}): over rdma, raise the memlock limit;"
                " error -7 is memory that it knows already"
            )

    def unregister(self, region: Region) -> None:
        """Make the engine forget memory that no read writes to."""
        self._native.unregister_memory(region.address)

    def read(self, peer: str, local: Sequence[int], remote: Sequence[int], lengths: Sequence[int]) -> int:
        """Copy pieces of a peer's memory here; 0 when all have landed. Blocks; else they may go on landing."""
        return int(self._native.batch_transfer_sync_read(peer, local, remote, lengths))

    def end(self, hurry: threading.Event) -> None:
        """Stop the engine's threads; blocks for about a second. Afterwards it writes nothing any more.

        The wait is spent outside of the interpreter lock, unless `hurry` is set.
        """
        if not hurry.is_set():
            with contextlib.suppress(OSError):
                socket.create_connection((self._loopback, self.port), SELF_TIMEOUT_S).close()
                hurry.wait(LISTENER_PERIOD_S - LOOKS_UP_IN_S)
        del self._native
