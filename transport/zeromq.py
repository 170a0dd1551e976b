"""Pages between processes and hosts over ZeroMQ: the fallback that works wherever a socket does.

The holder serves asks from one thread; a reader keeps a window of asks in flight and receives frames straight into its
landing memory. Its sockets live for one fetch, so a late answer has nowhere to go.
"""

import os
import threading
import time
from dataclasses import replace

import zmq

from bagel.kv_layout import PageRun
from transport.base import Capabilities, Endpoint, FetchReport, FetchRequest, PageCopy, Region, pieces
from transport.errors import PeerLostError, TransferCorruptError
from transport.holder import Holder
from transport.reading import check_digests, check_request, remaining_s
from transport.staging import receiving
from transport.zeromq_server import ZeroMqServer
from transport.zeromq_socket import keep_frames_memory, open_socket
from transport.zeromq_wire import Ask, unpack_refusal

CAPABILITIES = Capabilities(name="zeromq", secure=True)
FRAME_BYTES = 896 << 10  # neighbouring pages, together, unless one page is larger
MANY_CORES = 4
ASK_FRAMES = 8  # pieces of one ask: each ask and its answer wake four threads
WINDOW = 2  # asks in flight on a connection
LOST_EVENTS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
POLL_MS = 50  # how soon a cancelled fetch, or one whose holder is gone, stops

Socket = zmq.Socket[bytes]


class ZeroMqPlane:
    """`DataPlane` over ZeroMQ. A holder's `bind` is `tcp://host:port` (port 0: any) or `ipc://path`.

    `advertise_host` is put into endpoints in place of the bound host. Without `digests` nothing is hashed: for
    measurements alone.
    """

    def __init__(
        self,
        bind: str = "tcp://127.0.0.1:0",
        advertise_host: str | None = None,
        *,
        connections: int | None = None,
        digests: bool = True,
    ) -> None:
        self._bind, self._advertise_host = bind, advertise_host
        # Each has a thread of its own; where cores are few, threads only take turns.
        self._connections = connections or (1 if (os.cpu_count() or 1) < MANY_CORES else 2)
        self._digests = digests
        keep_frames_memory()
        self._context: zmq.Context[Socket] = zmq.Context(io_threads=self._connections)
        self._server: ZeroMqServer | None = None

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, digests=self._digests)

    def serve(self, holder: Holder) -> Endpoint:
        self._server = ZeroMqServer(self._context, self._bind, holder)
        return Endpoint(CAPABILITIES.name, self._advertised(self._server.address), CAPABILITIES.secure)

    def unreachable(self, address: str) -> str | None:
        del address
        return None

    def attach(self, request: FetchRequest) -> None:
        del request

    def prepare(self, landing: Region) -> None:
        """Any memory will do."""

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = check_request(request, digests=self._digests, generations=False)
        remaining_s(request, cancelled)
        if count:
            pull = _Fetch(self._context, request, cancelled, self._digests)
            try:
                pull.run(self._connections)
            finally:
                pull.landing.finish()
        return FetchReport(count, count * request.page_bytes, time.monotonic() - started)

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._context.destroy(linger=0)

    def _advertised(self, address: str) -> str:
        if self._advertise_host is None or not address.startswith("tcp://"):
            return address
        host = f"[{self._advertise_host}]" if ":" in self._advertise_host else self._advertise_host
        return f"tcp://{host}:{address.rsplit(':', 1)[1]}"


class _Fetch:
    """One fetch: its sockets, what it still waits for, and where it lands, which is to be finished after `run`."""

    def __init__(
        self,
        context: "zmq.Context[Socket]",
        request: FetchRequest,
        cancelled: threading.Event,
        digests: bool,
    ) -> None:
        self._context, self._request = context, request
        self._cancelled, self._digests = cancelled, digests
        piece_pages = max(1, FRAME_BYTES // request.page_bytes)
        self.landing = receiving(request.into, request.page_bytes, piece_pages)
        cut = pieces(request.copies, piece_pages)
        self._asks = [cut[first : first + ASK_FRAMES] for first in range(0, len(cut), ASK_FRAMES)]

    def run(self, connections: int) -> None:
        """Pull every piece. Raises TransportError.

        Asks go round the connections, and each connection answers in order, so they are received in order.
        """
        sockets = [open_socket(self._context, zmq.DEALER) for _ in range(min(connections, len(self._asks)))]
        monitors = [socket.get_monitor_socket(LOST_EVENTS) for socket in sockets]
        ahead = WINDOW * len(sockets)
        try:
            for socket in sockets:
                socket.setsockopt(zmq.RCVTIMEO, POLL_MS)
                socket.connect(self._request.address)
            for index in range(min(ahead, len(self._asks))):
                self._ask(sockets[index % len(sockets)], index)
            for index, ask in enumerate(self._asks):
                turn = index % len(sockets)
                for first, piece in ask:
                    self._receive(sockets[turn], monitors[turn], first, piece)
                if index + ahead < len(self._asks):
                    self._ask(sockets[turn], index + ahead)
        except zmq.ZMQError as error:
            raise PeerLostError(f"{self._request.address}: {error}") from error
        finally:
            for socket, monitor in zip(sockets, monitors, strict=True):
                socket.disable_monitor()
                monitor.close(linger=0)
                socket.close(linger=0)

    def _ask(self, socket: Socket, index: int) -> None:
        runs = [PageRun(piece.page, piece.count) for _, piece in self._asks[index]]
        socket.send(Ask(self._request.epoch, self._request.token, runs).pack())

    def _receive(self, socket: Socket, monitor: Socket, first: int, piece: PageCopy) -> None:
        """One piece, whose first page is the request's page `first`."""
        target = self.landing.room(piece)
        received = self._frame(socket, monitor, target)
        if socket.get(zmq.RCVMORE):
            status = unpack_refusal(bytes(target[:received]))
            raise status.error(socket.recv().decode(errors="replace"))
        if received != len(target):
            last = first + piece.count - 1
            raise TransferCorruptError(f"pages {first} to {last} came as {received} B, not as {len(target)} B")
        if self._digests:
            check_digests(self._request, target, first, PageCopy(piece.page, 0, piece.count))
        self.landing.keep(piece)

    def _frame(self, socket: Socket, monitor: Socket, target: memoryview) -> int:
        """The first frame of the next message, into `target` as far as it fits; its length."""
        while True:
            remaining_s(self._request, self._cancelled)
            try:
                return socket.recv_into(target)
            except zmq.Again:
                if monitor.poll(0):
                    raise PeerLostError(
                        f"{self._request.address}: nobody listens there, or the holder closed the connection"
                    ) from None
