"""Every plane that tests run over, by name: how its holder and its reader are opened."""

from pathlib import Path
from secrets import token_hex

from tests.transport.store_servers import where
from transport.base import DataPlane
from transport.memory import MemoryHub, MemoryPlane
from transport.mooncake import MooncakePlane
from transport.mooncake_store import MooncakeStorePlane
from transport.shm import ShmPlane
from transport.zeromq import ZeroMqPlane

WITHIN_ONE_PROCESS = ("memory",)
ACROSS_PROCESSES = ("shm", "zeromq-tcp", "zeromq-ipc")
OVER_MOONCAKE = ("mooncake", "mooncake_store")
NETWORK = ("zeromq-tcp", "mooncake")  # those that reach other hosts
ONE_PORT = ("zeromq-tcp",)  # those whose address is a single TCP port: a test may stand in between
LOOPBACK = "127.0.0.1"
HUB = MemoryHub()


def open_server(kind: str, folder: str | Path, host: str = LOOPBACK) -> DataPlane:
    """The holder's side, at one of this host's addresses."""
    match kind:
        case "memory":
            return MemoryPlane(HUB, verify_always=True)
        case "shm":
            return ShmPlane(f"{folder}/{token_hex(4)}.sock", verify_always=True)
        case "shm-unnamed":
            return ShmPlane(f"@bagel-{token_hex(8)}", verify_always=True)
        case "zeromq-tcp":
            return ZeroMqPlane(tcp_bind(host))
        case "mooncake":
            return MooncakePlane(host)
        case "mooncake_store":
            master, metadata = where(folder)
            return MooncakeStorePlane(host, master=master, metadata_server=metadata)
        case "zeromq-ipc":
            return ZeroMqPlane(f"ipc://{folder}/{token_hex(4)}.zmq")
        case _:
            raise ValueError(kind)


def open_reader(kind: str, folder: str | Path, host: str = LOOPBACK) -> DataPlane:
    """The reader's side, at one of this host's addresses."""
    match kind:
        case "mooncake":
            return MooncakePlane(host)
        case "mooncake_store":
            master, metadata = where(folder)
            return MooncakeStorePlane(host, master=master, metadata_server=metadata)
        case "memory":
            return MemoryPlane(HUB, verify_always=True)
        case "shm" | "shm-unnamed":
            return ShmPlane(verify_always=True)
        case "zeromq-tcp":
            return ZeroMqPlane()
        case "zeromq-ipc":
            return ZeroMqPlane(connections=1)
        case _:
            raise ValueError(kind)


def tcp_bind(host: str) -> str:
    """Any free port of an address, as ZeroMQ writes it."""
    return f"tcp://[{host}]:0" if ":" in host else f"tcp://{host}:0"
