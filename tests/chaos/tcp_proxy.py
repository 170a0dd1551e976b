"""A wire between a reader and a holder's TCP port that can be cut, or fall silent."""

import socket
import threading
from contextlib import suppress

BLOCK_BYTES = 1 << 20


class TcpProxy:
    """Passes bytes on, both ways, from construction until `cut`, `silence` or `close`; `port` is where on loopback."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed_bytes = 0  # both ways
        self._silent = threading.Event()
        self._counting = threading.Lock()
        self._ends: list[socket.socket] = []
        self._pumps: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def cut(self) -> None:
        """Close every connection and take no more; both sides see it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Pass nothing on any more; neither side is told."""
        self._silent.set()

    def close(self) -> None:
        """Cut, and end the threads."""
        self.cut()
        self._acceptor.join()
        self.cut()  # what was accepted meanwhile
        for pump in self._pumps:
            pump.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                self._ends.append(near)
                far = socket.create_connection(self._target)
                self._ends.append(far)
            except OSError:  # cut, or the holder is gone
                return
            for ends in ((near, far), (far, near)):
                self._pumps.append(threading.Thread(target=self._pump, args=ends, daemon=True))
                self._pumps[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        block = memoryview(bytearray(BLOCK_BYTES))
        with suppress(OSError):
            while size := source.recv_into(block):
                if not self._silent.is_set():
                    sink.sendall(block[:size])
                    with self._counting:
                        self.passed_bytes += size
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
