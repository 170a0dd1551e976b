"""The servers of Mooncake's store for tests, and the file that tells processes in a folder where they are."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from tests.ports import free_port
from tests.processes import Process, running

Servers = tuple[Process, str, str]  # the command that runs them, master, metadata server
_FILE = "mooncake-store.json"


@contextmanager
def store_servers() -> Iterator[Servers]:
    """Started by `bagel mooncake-master`, for the time of a block."""
    ports = [str(free_port()) for _ in range(3)]
    names = ("--port", "--metadata-port", "--metrics-port")
    flags = [word for pair in zip(names, ports, strict=True) for word in pair]
    with running("services.cli.main", "mooncake-master", "--log-format", "json", *flags) as process:
        ready = process.wait_event("ready")
        yield process, ready["master"], ready["metadata"]


@contextmanager
def store_of(folder: Path) -> Iterator[None]:
    """Servers that planes opened with this folder use."""
    with store_servers() as (_, master, metadata):
        (folder / _FILE).write_text(json.dumps([master, metadata]), encoding="utf-8")
        yield


def servers_of(kind: str, folder: Path) -> AbstractContextManager[None]:
    """What a kind of plane needs besides its two processes."""
    return store_of(folder) if kind == "mooncake_store" else nullcontext()


def where(folder: str | Path) -> tuple[str, str]:
    """Master and metadata server of a folder."""
    master, metadata = json.loads((Path(folder) / _FILE).read_text(encoding="utf-8"))
    return master, metadata
