"""The holder's thread of the ZeroMQ plane: one ROUTER socket, asks answered in order."""

import contextlib
import os
import threading

import zmq

from bagel.errors import ConfigError
from transport.errors import TransferRefusedError
from transport.holder import Holder
from transport.status import Status
from transport.zeromq_socket import open_socket
from transport.zeromq_wire import Ask, pack_refusal

MAX_ASK_RUNS = 64
MAX_ASK_PAGES = 1 << 16
MAX_ASK_BYTES = 64 << 20
MAX_REASON_BYTES = 1024
_IPC = "ipc://"


class ZeroMqServer:
    """Serves a holder from construction to `stop`; `address` is where. Raises ConfigError when it cannot bind."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", bind: str, holder: Holder) -> None:
        self._holder = holder
        self._socket = open_socket(context, zmq.ROUTER, ipv6="[" in bind)
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
        self._thread = threading.Thread(target=self._run, name="kv-zeromq", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, close its sockets, remove the file of one that has a path."""
        self._stop_out.send(b"")
        self._thread.join()
        self._stop_out.close(linger=0)
        if self.address.startswith(_IPC):  # libzmq leaves it behind; a name with `@` has none
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address.removeprefix(_IPC))

    def _run(self) -> None:
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
                self._answer(frames[0], frames[1])

    def _answer(self, peer: bytes, frame: bytes) -> None:
        try:
            ask = Ask.unpack(frame)
            self._check(ask)
            for run in ask.runs:
                pages = self._holder.read(ask.token, ask.epoch, run.start, run.count)
                # The frame is the pool itself, which outlives this socket. Pages that are released while their frame
                # still waits in a queue may arrive changed; the reader's digests notice, and its lease is over anyway.
                self._socket.send(peer, zmq.SNDMORE)
                self._socket.send(pages, copy=False)
        except TransferRefusedError as error:
            reason = str(error).encode()[:MAX_REASON_BYTES]
            self._socket.send_multipart([peer, pack_refusal(Status.of(error)), reason])

    def _check(self, ask: Ask) -> None:
        if not 1 <= len(ask.runs) <= MAX_ASK_RUNS:
            raise TransferRefusedError(f"{len(ask.runs)} runs of pages in one ask: at least 1, at most {MAX_ASK_RUNS}")
        pages = sum(run.count for run in ask.runs)
        if pages > max(1, min(MAX_ASK_PAGES, MAX_ASK_BYTES // self._holder.page_bytes)):
            raise TransferRefusedError(f"{pages} pages in one ask are too many")
