"""Pages on one host without a copy: the holder passes its pool's descriptor, readers map it read-only.

A reader shows its grant's token over a unix socket and gets the memfd by SCM_RIGHTS; the connection then says whether
the holder lives. What a reader has mapped it sees whole, so this plane is not secure: it is for processes that trust
each other. Nothing has a name but the socket; memory goes with its last user.
"""

import ctypes
import select
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from torch import Tensor

from bagel.errors import ConfigError
from bagel.kv_layout import PageRun, pages_of
from transport.base import (
    AttachedPool,
    Capabilities,
    Endpoint,
    FetchReport,
    FetchRequest,
    Region,
    pieces,
)
from transport.errors import PeerLostError, TransferCorruptError, TransferRefusedError, TransferTimeoutError
from transport.holder import Holder
from transport.pool import ReadOnlyPool
from transport.reading import check_all_digests, check_generations, check_request, remaining_s
from transport.shm_server import MAX_REASON_BYTES, ShmServer, hello, refusal, socket_address
from transport.status import Status

CAPABILITIES = Capabilities(name="shm", secure=False, zero_copy=True)
HELLO_TIMEOUT_S = 2.0  # a peer that says nothing
COPY_BYTES = 8 << 20  # between two looks at deadline and cancellation


class ShmPlane:
    """`DataPlane` over shared memory. `path` is the unix socket that a holder serves at; readers need none.

    `verify_always` hashes pages on top of checking their generations.
    """

    def __init__(self, path: str | None = None, *, verify_always: bool = False) -> None:
        self._path, self._verify = path, verify_always
        self._server: ShmServer | None = None
        self._attached: dict[tuple[str, int], _Attached] = {}
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, digests=self._verify)

    def serve(self, holder: Holder) -> Endpoint:
        if self._path is None:
            raise ConfigError("the shm transport needs a path for its socket to serve pages")
        self._server = ShmServer(self._path, holder)
        return Endpoint(CAPABILITIES.name, self._path, CAPABILITIES.secure)

    def unreachable(self, address: str) -> str | None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(HELLO_TIMEOUT_S)
                probe.connect(socket_address(address))
        except OSError as error:
            return f"{address}: {error.strerror or error}; it is of another host or container"
        return None

    def attach(self, request: FetchRequest) -> AttachedPool:
        key = request.address, request.epoch
        with self._lock:
            # Pools of dead holders are of no use any more, and as large as ever.
            for dead in [k for k, attached in self._attached.items() if not attached.alive()]:
                self._attached.pop(dead).close()
            if key in self._attached:
                return self._attached[key]
        # Outside of the lock: whoever reads from another holder shall not wait for one that has stopped.
        attached = _connect(request)
        with self._lock:
            known = self._attached.get(key)
            if known is not None and known.alive():  # another reader was faster
                attached.close()
                return known
            self._attached[key] = attached
        return attached

    def prepare(self, landing: Region) -> None:
        """Any memory will do."""

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = check_request(request, digests=self._verify, generations=True)
        remaining_s(request, cancelled)
        pool, size = self.attach(request), request.page_bytes
        assert isinstance(pool, _Attached)
        if pool.page_bytes != size:
            raise TransferCorruptError(f"the holder's pages have {pool.page_bytes} bytes, not {size}")
        pages = pages_of([PageRun(copy.page, copy.count) for copy in request.copies])
        pool.check(pages, request.generations)
        for _, piece in pieces(request.copies, max(1, COPY_BYTES // size)):
            remaining_s(request, cancelled)
            source = pool.pages[piece.page * size : (piece.page + piece.count) * size]
            _copy(source, request.into.tensor[piece.place * size : (piece.place + piece.count) * size])
        pool.check(pages, request.generations)
        if self._verify and count:
            landed = request.into if request.into.device.type == "cpu" else Region(request.into.tensor.cpu())
            check_all_digests(request, landed.tensor)
        return FetchReport(count, count * size, time.monotonic() - started)

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        with self._lock:
            for attached in self._attached.values():
                attached.close()
            self._attached.clear()


def _copy(source: Tensor, target: Tensor) -> None:
    """Between CPUs as the C library copies, which is faster than torch on some (0.89 of memcpy, not 0.75)."""
    if target.device.type == "cpu":
        ctypes.memmove(target.data_ptr(), source.data_ptr(), source.numel())
    else:
        target.copy_(source)


class _Attached:
    """A holder's pool as this process sees it, and the connection that stands as long as the holder lives."""

    def __init__(self, pool: ReadOnlyPool, connection: socket.socket, address: str) -> None:
        self._pool, self._connection, self._address = pool, connection, address

    @property
    def pages(self) -> Tensor:
        return self._pool.pages

    @property
    def page_bytes(self) -> int:
        """Bytes of one page."""
        return self._pool.layout.page_bytes

    def alive(self) -> bool:
        """Whether the holder still holds its end of the connection."""
        if self._connection.fileno() < 0:
            return False
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        return not poller.poll(0)

    def check(self, pages: Sequence[int], generations: Sequence[int]) -> None:
        if not self.alive():
            raise PeerLostError(f"{self._address}: the holder went away")
        check_generations(self._pool.generations, pages, generations)

    def close(self) -> None:
        """Close the connection; the memory goes with its last user."""
        self._connection.close()


def _connect(request: FetchRequest) -> _Attached:
    try:
        return _introduced(request)
    except TimeoutError as error:
        raise TransferTimeoutError(f"{request.address}: the holder did not answer in time") from error
    except OSError as error:
        raise PeerLostError(f"{request.address}: {error.strerror or error}") from error


def _introduced(request: FetchRequest) -> _Attached:
    """Say hello and map what comes; the connection is closed again unless everything went well."""
    with ExitStack() as stack:
        connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        connection.settimeout(max(0.001, min(HELLO_TIMEOUT_S, request.deadline_s - time.monotonic())))
        connection.connect(socket_address(request.address))
        connection.sendall(hello(request.epoch, request.token))
        status, descriptors, _, _ = socket.recv_fds(connection, MAX_REASON_BYTES + 1, 1)
        if not status:
            raise PeerLostError(f"{request.address}: the holder closed the connection")
        if status[0] != Status.OK:
            raise refusal(status)
        if len(descriptors) != 1:
            raise TransferRefusedError(f"{request.address}: the holder sent no descriptor; can it pass one here?")
        attached = _Attached(ReadOnlyPool(descriptors[0]), connection, request.address)
        stack.pop_all()
        return attached
