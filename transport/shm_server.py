"""The holder's side of shared memory: a unix socket that hands the pool's descriptor to readers with a token.

Hello:  magic, epoch, token
Answer: status; with OK the descriptor by SCM_RIGHTS, else a text that says why not
The connection stands from then on, so that a reader notices the holder's end.
"""

import contextlib
import os
import select
import socket
import struct
import threading

from bagel.errors import ConfigError
from transport.errors import TransferRefusedError
from transport.holder import Holder
from transport.publications import TOKEN_BYTES
from transport.status import Status

MAGIC = b"BKS1"
_HELLO = struct.Struct(f"<4sQ{TOKEN_BYTES}s")
BACKLOG = 128
MAX_REASON_BYTES = 1024


def socket_address(path: str) -> str:
    """A path, or with `@` in front a name that no file system knows, as the kernel takes it."""
    return "\0" + path[1:] if path.startswith("@") else path


def hello(epoch: int, token: bytes) -> bytes:
    """What a reader says first."""
    return _HELLO.pack(MAGIC, epoch, token)


def refusal(answer: bytes) -> TransferRefusedError:
    """The exception that an answer other than OK means."""
    reason = answer[1:].decode(errors="replace")
    return Status(answer[0]).error(reason) if answer[0] in list(Status) else TransferRefusedError(reason)


class ShmServer:
    """The holder's socket: a thread that hands out the descriptor and keeps the connections."""

    def __init__(self, path: str, holder: Holder) -> None:
        self._path, self._holder = path, holder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if not path.startswith("@"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # of a holder that was killed
            self._socket.bind(socket_address(path))
            if not path.startswith("@"):
                os.chmod(path, 0o660)
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"KV pages cannot be served at {path}: {error}; choose another path") from error
        self._socket.listen(BACKLOG)
        # Readers get a descriptor that cannot write.
        self._fd = os.open(f"/proc/self/fd/{holder.pool.fd}", os.O_RDONLY | os.O_CLOEXEC)
        self._stop_in, self._stop_out = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="kv-shm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, close every connection, remove the socket."""
        self._stop_out.close()
        self._thread.join()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _run(self) -> None:
        poller = select.poll()
        waiting = {self._socket.fileno(): self._socket, self._stop_in.fileno(): self._stop_in}
        for fd in waiting:
            poller.register(fd, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == self._stop_in.fileno():
                    for connection in waiting.values():
                        connection.close()
                    os.close(self._fd)
                    return
                if fd == self._socket.fileno():
                    self._accept(waiting, poller)
                elif not self._answer(waiting[fd]):
                    poller.unregister(fd)
                    waiting.pop(fd).close()

    def _accept(self, waiting: dict[int, socket.socket], poller: select.poll) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # the peer is gone already, or this process has no descriptor left
            return
        connection.setblocking(False)
        waiting[connection.fileno()] = connection
        poller.register(connection, select.POLLIN)

    def _answer(self, connection: socket.socket) -> bool:
        """Answer a hello; whether the connection shall stand."""
        try:
            frame = connection.recv(_HELLO.size)
            if len(frame) != _HELLO.size or frame[:4] != MAGIC:
                return False
            _, epoch, token = _HELLO.unpack(frame)
            try:
                self._holder.check(token, epoch)
            except TransferRefusedError as error:
                connection.send(bytes([Status.of(error)]) + str(error).encode()[:MAX_REASON_BYTES])
                return False
            socket.send_fds(connection, [bytes([Status.OK])], [self._fd])
        except OSError:
            return False
        return True
