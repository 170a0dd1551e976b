"""Pages within one process: a copy, under the same grants and checks as between processes."""

import threading
import time

import torch

from bagel.kv_layout import pages_of
from transport.base import Capabilities, Endpoint, FetchReport, FetchRequest, Region
from transport.errors import PeerLostError, TransferCorruptError
from transport.holder import Holder
from transport.landing import check_digest, page_count, remaining_s

CAPABILITIES = Capabilities(name="memory", secure=True)


class MemoryHub:
    """The holders of one process by address. Made by whoever builds the transports, and handed to each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, Holder] = {}
        self._next = 0

    def new_address(self) -> str:
        """An address that nobody had before."""
        with self._lock:
            self._next += 1
            return f"memory://{self._next}"

    def add(self, holder: Holder) -> None:
        """Make a holder reachable at its endpoint's address."""
        with self._lock:
            self._holders[holder.endpoint.address] = holder

    def remove(self, holder: Holder) -> None:
        """Forget a holder; unknown ones are ignored."""
        with self._lock:
            self._holders.pop(holder.endpoint.address, None)

    def find(self, address: str) -> Holder:
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
        self._holder: Holder | None = None

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def allocate(self, num_bytes: int, device: torch.device) -> Region:
        return Region(torch.zeros(num_bytes, dtype=torch.uint8, device=device))

    def serve(self, pool: Region, *, page_bytes: int, epoch: int) -> Holder:
        endpoint = Endpoint(CAPABILITIES.name, self._hub.new_address(), CAPABILITIES.secure)
        self._holder = Holder(pool, endpoint, page_bytes=page_bytes, epoch=epoch)
        self._hub.add(self._holder)
        return self._holder

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = page_count(request)
        holder = self._hub.find(request.address)
        landing = request.into.tensor[: count * request.page_bytes].view(count, request.page_bytes)
        for place, page in enumerate(pages_of(list(request.runs))):
            remaining_s(request, cancelled)
            view = holder.read(request.token, request.epoch, page, 1)[0]
            if len(view) != request.page_bytes:
                raise TransferCorruptError(f"the holder's pages have {len(view)} bytes, not {request.page_bytes}")
            check_digest(view, request.digests[place], place)
            landing[place].copy_(torch.frombuffer(view, dtype=torch.uint8))
        return FetchReport(count, count * request.page_bytes, time.monotonic() - started)

    def close(self) -> None:
        if self._holder is not None:
            self._hub.remove(self._holder)
