"""Pages within one process: a copy, under the same grants and checks as between processes."""

import threading
import time
from collections.abc import Sequence

import torch

from bagel.kv_layout import pages_of
from transport.base import Capabilities, Endpoint, FetchReport, FetchRequest, Region
from transport.errors import PeerLostError, TransferCorruptError
from transport.host_pages import HostPages
from transport.landing import check_digest, page_count, remaining_s
from transport.publications import Publications

CAPABILITIES = Capabilities(name="memory", secure=True, across_processes=False, across_hosts=False)


class MemoryHub:
    """The holders of one process by address. Made by whoever builds the transports, and handed to each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, MemoryTransport] = {}
        self._next = 0

    def add(self, holder: "MemoryTransport") -> str:
        """An address for a holder."""
        with self._lock:
            self._next += 1
            address = f"memory://{self._next}"
            self._holders[address] = holder
            return address

    def remove(self, holder: "MemoryTransport") -> None:
        """Forget a holder; unknown ones are ignored."""
        with self._lock:
            self._holders = {address: other for address, other in self._holders.items() if other is not holder}

    def find(self, address: str) -> "MemoryTransport":
        """The holder at an address. Raises PeerLostError."""
        with self._lock:
            holder = self._holders.get(address)
        if holder is None:
            raise PeerLostError(f"no holder at {address} in this process")
        return holder


class MemoryTransport:
    """`Transport` within one process."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._publications: Publications | None = None
        self._pages: HostPages | None = None

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def allocate(self, num_bytes: int, device: torch.device) -> Region:
        return Region(torch.zeros(num_bytes, dtype=torch.uint8, device=device))

    def serve(self, pool: Region, *, page_bytes: int, epoch: int) -> Endpoint:
        self._publications, self._pages = Publications(epoch), HostPages(pool, page_bytes)
        return Endpoint(CAPABILITIES.name, self._hub.add(self), CAPABILITIES.secure)

    def publish(self, handle_id: str, pages: Sequence[int]) -> list[int]:
        publications, host = self._serving()
        digests = host.add(handle_id, pages)
        publications.publish(handle_id, pages)
        return digests

    def open_grant(self, handle_id: str) -> bytes:
        return self._serving()[0].open_grant(handle_id)

    def close_grant(self, token: bytes) -> None:
        self._serving()[0].close_grant(token)

    def release(self, handle_id: str) -> None:
        publications, host = self._serving()
        publications.release(handle_id)
        host.drop(handle_id)

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = page_count(request)
        publications, host = self._hub.find(request.address)._serving()
        landing = request.into.tensor[: count * request.page_bytes].view(count, request.page_bytes)
        for place, page in enumerate(pages_of(list(request.runs))):
            remaining_s(request, cancelled)
            handle_id = publications.check(request.token, request.epoch, page, 1)
            view = host.view(handle_id, page)
            if len(view) != request.page_bytes:
                raise TransferCorruptError(f"the holder's pages have {len(view)} bytes, not {request.page_bytes}")
            check_digest(view, request.digests[place], place)
            landing[place].copy_(torch.frombuffer(view, dtype=torch.uint8))
        return FetchReport(count, count * request.page_bytes, time.monotonic() - started)

    def close(self) -> None:
        self._hub.remove(self)

    def _serving(self) -> tuple[Publications, HostPages]:
        if self._publications is None or self._pages is None:
            raise PeerLostError("this transport serves no pool")
        return self._publications, self._pages
