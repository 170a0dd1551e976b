"""Pages between processes and hosts over ZeroMQ: the fallback that works wherever a socket does.

The holder serves asks from one thread; a reader keeps a window of asks in flight and receives page frames straight
into its landing memory. A socket lives for one fetch, so a late answer has nowhere to go.
"""

import threading
import time
from collections.abc import Sequence

import torch
import zmq

from bagel.errors import ConfigError
from bagel.kv_layout import PageRun
from transport.base import Capabilities, Endpoint, FetchReport, FetchRequest, Region
from transport.errors import (
    PeerLostError,
    StaleEpochError,
    TransferCorruptError,
    TransferRefusedError,
)
from transport.holder import Holder
from transport.host_pages import host_view
from transport.landing import check_digest, page_count, remaining_s
from transport.zeromq_wire import Answer, Ask, Status

CAPABILITIES = Capabilities(name="zeromq", secure=True)
ASK_BYTES = 1 << 20  # pages of one ask, together, unless one page is larger
WINDOW = 8  # asks in flight
LOST_EVENTS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
POLL_MS = 50  # how soon a cancelled fetch stops
MAX_ASK_FRAMES = 1024
HEARTBEAT_MS = 1000
SILENCE_MS = 4000  # a peer that is silent so long is lost
MAX_REASON_BYTES = 1024


class ZeroMqTransport:
    """`Transport` over ZeroMQ. `bind` is `tcp://host:port` (port 0: any) or `ipc://path`.

    `advertise_host` is put into endpoints in place of the bound host.
    """

    def __init__(self, bind: str, advertise_host: str | None = None) -> None:
        self._bind, self._advertise_host = bind, advertise_host
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._server: _Server | None = None

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def allocate(self, num_bytes: int, device: torch.device) -> Region:
        return Region(torch.zeros(num_bytes, dtype=torch.uint8, device=device))

    def serve(self, pool: Region, *, page_bytes: int, epoch: int) -> Holder:
        self._server = _Server(self._context, self._bind)
        endpoint = Endpoint(CAPABILITIES.name, self._advertised(self._server.address), CAPABILITIES.secure)
        holder = Holder(pool, endpoint, page_bytes=page_bytes, epoch=epoch)
        self._server.start(holder)
        return holder

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = page_count(request)
        if count:
            # Frames land in host memory; on a GPU they go on from there in one copy.
            direct = request.into.device.type == "cpu"
            landing = request.into if direct else Region(torch.empty(count * request.page_bytes, dtype=torch.uint8))
            _Fetch(self._context, request, host_view(landing), cancelled).run()
            if not direct:
                request.into.tensor[: landing.num_bytes].copy_(landing.tensor)
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


class _Server:
    """The holder's thread: one ROUTER socket, asks answered in order."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", bind: str) -> None:
        self._socket = _socket(context, zmq.ROUTER, ipv6="[" in bind)
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            raise ConfigError(f"KV pages cannot be served at {bind}: {error}; choose another address") from error
        self.address = str(self._socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")
        self._stop_out, self._stop_in = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        name = f"inproc://stop-{id(self)}"
        self._stop_in.bind(name)
        self._stop_out.connect(name)
        self._thread: threading.Thread | None = None

    def start(self, holder: Holder) -> None:
        """Answer asks from now on."""
        self._thread = threading.Thread(target=self._run, args=(holder,), name="kv-zeromq", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close its sockets."""
        self._stop_out.send(b"")
        if self._thread is not None:
            self._thread.join()
        self._stop_out.close(linger=0)

    def _run(self, holder: Holder) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._stop_in, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._stop_in in ready:
                self._socket.close(linger=0)
                self._stop_in.close(linger=0)
                return
            frames = self._socket.recv_multipart()
            if len(frames) == 2:
                self._answer(holder, frames[0], frames[1])

    def _answer(self, holder: Holder, peer: bytes, frame: bytes) -> None:
        sequence = 0
        try:
            ask = Ask.unpack(frame)
            sequence = ask.sequence
            if ask.count > MAX_ASK_FRAMES:
                raise TransferRefusedError(f"{ask.count} pages in one ask, at most {MAX_ASK_FRAMES} are answered")
            views = holder.read(ask.token, ask.epoch, ask.start, ask.count)
        except TransferRefusedError as error:
            status = Status.STALE_EPOCH if isinstance(error, StaleEpochError) else Status.REFUSED
            reason = str(error).encode()[:MAX_REASON_BYTES]
            self._socket.send_multipart([peer, Answer(sequence, status, 1).pack(), reason])
            return
        self._socket.send_multipart([peer, Answer(sequence, Status.OK, len(views)).pack(), *views])


class _Fetch:
    """One fetch: its socket, its window, its landing memory."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        request: FetchRequest,
        landing: memoryview,
        cancelled: threading.Event,
    ) -> None:
        self._request, self._landing, self._cancelled = request, landing, cancelled
        self._context = context
        most = max(1, min(ASK_BYTES // request.page_bytes, MAX_ASK_FRAMES))
        self._pieces = _pieces(request.runs, most)
        self._missing = set(range(len(self._pieces)))

    def run(self) -> None:
        """Pull every piece. Raises TransportError."""
        socket = _socket(self._context, zmq.DEALER)
        monitor = socket.get_monitor_socket(LOST_EVENTS)
        try:
            socket.connect(self._request.address)
            for index in range(min(WINDOW, len(self._pieces))):
                self._ask(socket, index)
            for done in range(len(self._pieces)):
                self._wait(socket, monitor)
                self._receive(socket)
                if done + WINDOW < len(self._pieces):
                    self._ask(socket, done + WINDOW)
        except zmq.ZMQError as error:
            raise PeerLostError(f"{self._request.address}: {error}") from error
        finally:
            socket.disable_monitor()
            monitor.close(linger=0)
            socket.close(linger=0)

    def _ask(self, socket: "zmq.Socket[bytes]", index: int) -> None:
        run = self._pieces[index][1]
        socket.send(Ask(index, self._request.epoch, self._request.token, run.start, run.count).pack())

    def _wait(self, socket: "zmq.Socket[bytes]", monitor: "zmq.Socket[bytes]") -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        while True:
            left_ms = remaining_s(self._request, self._cancelled) * 1000
            ready = dict(poller.poll(int(min(left_ms, POLL_MS)) + 1))
            if socket in ready:
                return
            if monitor in ready:
                raise PeerLostError(
                    f"{self._request.address}: nobody listens there, or the holder closed the connection"
                )

    def _receive(self, socket: "zmq.Socket[bytes]") -> None:
        answer = Answer.unpack(socket.recv())
        if answer.status is not Status.OK:
            raise answer.refusal(
                socket.recv().decode(errors="replace") if socket.get(zmq.RCVMORE) else "no reason given"
            )
        if answer.sequence not in self._missing or answer.count != self._pieces[answer.sequence][1].count:
            raise TransferCorruptError("the holder answered with other pages than were asked for")
        self._missing.remove(answer.sequence)
        first = self._pieces[answer.sequence][0]
        size = self._request.page_bytes
        for place in range(first, first + answer.count):
            if not socket.get(zmq.RCVMORE):
                raise TransferCorruptError("the holder's answer is cut short")
            target = self._landing[place * size : (place + 1) * size]
            if socket.recv_into(target) != size:
                raise TransferCorruptError(f"page {place} of the transfer has another length than {size} B")
            check_digest(target, self._request.digests[place], place)
        if socket.get(zmq.RCVMORE):
            raise TransferCorruptError("the holder's answer has more pages than were asked for")


def _socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, *, ipv6: bool = True) -> "zmq.Socket[bytes]":
    socket = context.socket(kind)
    # A socket bound to IPv4 with this on would advertise an IPv6 form of its address.
    socket.setsockopt(zmq.IPV6, int(ipv6))
    # The window bounds what is in flight; a full queue of a ROUTER would drop answers in silence.
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, SILENCE_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, SILENCE_MS)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    return socket


def _pieces(runs: Sequence[PageRun], most: int) -> list[tuple[int, PageRun]]:
    """Runs cut into asks of at most `most` pages, each with the place of its first page in the landing memory."""
    pieces, place = [], 0
    for run in runs:
        for offset in range(0, run.count, most):
            count = min(most, run.count - offset)
            pieces.append((place, PageRun(run.start + offset, count)))
            place += count
    return pieces
