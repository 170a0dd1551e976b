"""Pages within one process: looked at where they lie, or copied, under the same grants as between processes."""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bagel.kv_layout import PageRun, pages_of
from transport.base import AttachedPool, Capabilities, Endpoint, FetchReport, FetchRequest, Region, pieces
from transport.errors import PeerLostError, TransferCorruptError
from transport.holder import Holder
from transport.reading import check_digests, check_generations, check_request, host_view, remaining_s

CAPABILITIES = Capabilities(name="memory", secure=True, zero_copy=True)
COPY_BYTES = 8 << 20  # between two looks at deadline and cancellation


class MemoryHub:
    """The holders of one process by address. Made by whoever builds the planes, and handed to each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, Holder] = {}
        # Another process's addresses must not look like ours.
        self._name, self._next = secrets.token_hex(8), 0

    def add(self, holder: Holder) -> str:
        """Make a holder reachable; its address, which nobody had before."""
        with self._lock:
            self._next += 1
            address = f"memory://{self._name}/{self._next}"
            self._holders[address] = holder
        return address

    def remove(self, address: str) -> None:
        """Forget a holder; unknown ones are ignored."""
        with self._lock:
            self._holders.pop(address, None)

    def find(self, address: str) -> Holder | None:
        """The holder at an address."""
        with self._lock:
            return self._holders.get(address)


class MemoryPlane:
    """`DataPlane` within one process. `verify_always` hashes pages on top of checking their generations."""

    def __init__(self, hub: MemoryHub, *, verify_always: bool = False) -> None:
        self._hub, self._verify = hub, verify_always
        self._address: str | None = None

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, digests=self._verify)

    def serve(self, holder: Holder) -> Endpoint:
        self._address = self._hub.add(holder)
        return Endpoint(CAPABILITIES.name, self._address, CAPABILITIES.secure)

    def unreachable(self, address: str) -> str | None:
        return None if self._hub.find(address) else f"no holder at {address} in this process"

    def attach(self, request: FetchRequest) -> AttachedPool:
        holder = self._find(request.address)
        holder.check(request.token, request.epoch)
        return _Attached(holder)

    def prepare(self, landing: Region) -> None:
        """Any memory will do."""

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started, size = time.monotonic(), request.page_bytes
        count = check_request(request, digests=self._verify, generations=True)
        holder = self._find(request.address)
        if holder.page_bytes != size:
            raise TransferCorruptError(f"the holder's pages have {holder.page_bytes} bytes, not {size}")
        for index, piece in pieces(request.copies, max(1, COPY_BYTES // size)):
            remaining_s(request, cancelled)
            view = holder.read(request.token, request.epoch, piece.page, piece.count)
            part = slice(piece.place * size, (piece.place + piece.count) * size)
            request.into.tensor[part].copy_(torch.frombuffer(view, dtype=torch.uint8))
            if self._verify:
                check_digests(request, host_view(request.into), index, piece)
        pages = pages_of([PageRun(copy.page, copy.count) for copy in request.copies])
        check_generations(holder.pool.generations, pages, request.generations)
        return FetchReport(count, count * size, time.monotonic() - started)

    def close(self) -> None:
        if self._address is not None:
            self._hub.remove(self._address)

    def _find(self, address: str) -> Holder:
        holder = self._hub.find(address)
        if holder is None:
            raise PeerLostError(f"no holder at {address} in this process")
        return holder


class _Attached:
    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    @property
    def pages(self) -> Tensor:
        return self._holder.pool.host

    def check(self, pages: Sequence[int], generations: Sequence[int]) -> None:
        check_generations(self._holder.pool.generations, pages, generations)
