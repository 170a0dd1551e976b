"""Where this gateway learns the addresses of its stages: fixed ones, a name's addresses in DNS, the master's registry.

Each source adds and takes back addresses of its own; whether something answers there is looked at by `stage`.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from bagel.addresses import split_address
from bagel.errors import BagelError
from bagel.logs import get_logger
from bagel.members import Member, MemberState
from bagel.watching import Watched, watch_members
from services.gateway.config import GatewayConfig
from services.gateway.stages import Stages

DNS_PREFIX = "dns:"
RESOLVE_S = 2.0
REFUSED_S = 5.0


class Discovery:
    """Keeps `stages` up to date until closed. Needs a running event loop; `open` never fails."""

    def __init__(self, stages: Stages, config: GatewayConfig, token: str | None) -> None:
        self._stages, self._config, self._token = stages, config, token
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Add the fixed addresses, and begin to follow the others."""
        for kind, addresses in (("thinker", self._config.thinkers), ("dit", self._config.dits)):
            for address in addresses:
                if address.startswith(DNS_PREFIX):
                    self._tasks.append(asyncio.create_task(self._resolve(kind, address)))
                else:
                    self._stages.add(kind, address)
        if self._config.master is not None:
            self._tasks.append(asyncio.create_task(self._watch(self._config.master)))

    async def close(self) -> None:
        """Follow no source any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, master: str) -> None:
        self._stages.notes[master] = f"the master at {master} has not answered yet"
        known: dict[str, Member] = {}
        while True:
            try:
                async for change in watch_members(master, token=self._token):
                    self._stages.notes.pop(master, None)
                    self.apply(change, known)
            except BagelError as error:
                # A wrong secret, or somebody else there: said, and tried again, since others may mend it.
                get_logger().error("master_refused", reason=str(error))
                self._stages.notes[master] = str(error)
            await asyncio.sleep(REFUSED_S)

    def apply(self, change: Watched, known: dict[str, Member]) -> None:
        """Take over a change; `known` holds members by worker."""
        before = {(member.kind.value, member.address) for member in known.values()}
        if change.snapshot:
            known.clear()
        known.update({member.worker_id: member for member in change.changed})
        for worker_id in change.left:
            known.pop(worker_id, None)
        for kind, address in before - {(member.kind.value, member.address) for member in known.values()}:
            self._stages.unlist(kind, address)
        for member in known.values():
            draining = member.boot_epoch if member.state is MemberState.DRAINING else 0
            self._stages.add(member.kind.value, member.address, draining_boot=draining)

    async def _resolve(self, kind: str, name: str) -> None:
        """Follow the addresses of a name, such as a headless service of Kubernetes."""
        host, _, port = name.removeprefix(DNS_PREFIX).rpartition(":")
        loop, known = asyncio.get_running_loop(), set[str]()
        while True:
            try:
                found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
                addresses = {_address(entry[4]) for entry in found}
                self._stages.notes.pop(name, None)
                for address in known - addresses:
                    self._stages.unlist(kind, address)
                for address in addresses:
                    self._stages.add(kind, address)
                known = addresses
            except (OSError, UnicodeError) as error:
                # As with a master that is away: what is known is kept.
                self._stages.notes[name] = f"{name} has no address in DNS ({error})"
            await asyncio.sleep(RESOLVE_S)


def check_addresses(addresses: Sequence[str]) -> None:
    """Raise ConfigError for a name in DNS without a port that can be."""
    for address in addresses:
        if address.startswith(DNS_PREFIX):
            split_address(address.removeprefix(DNS_PREFIX), flag="dns:")


def _address(socket_address: tuple[Any, ...]) -> str:
    host, port = socket_address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
