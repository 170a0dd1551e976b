"""The HTTP server's connections, bounded: in number, in the time of headers, and in waiting for who does not read.

A server that stops closes none of them on a request that may be on its way.

A subclass of uvicorn's own protocol; what a request is and how it is answered stays there.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from bagel.limits import CONNECTIONS, HEADER_S, UNREAD_S

LEAVE_S = 1.0
CLOSE = (b"connection", b"close")
_BODY = b'{"error":{"message":"%s","type":"%s","param":null,"code":"%s"}}'


class BoundedConnection(H11Protocol):
    """One connection. The bounds are others in tests alone."""

    most_connections = CONNECTIONS.most
    headers_s = HEADER_S.most
    unread_s = UNREAD_S.most
    leave_s = LEAVE_S

    _headers_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _leave_timer: asyncio.TimerHandle | None = None
    _leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(503, b"too many connections; try again later", b"server_error", b"too_many_connections")
        else:
            self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_headers_timer()
        self._stop_unread_timer()
        self._stop_leave_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch_headers()
        self._leave()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_headers()
        self._leave()

    def shutdown(self) -> None:
        """The server stops. A client that holds the connection may be using it again right now."""
        self._leaving = True
        self._leave()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def _watch_headers(self) -> None:
        """A request's headers must be there in time, counted from the connection or the answer before.

        So must the rest of a body that was answered early. It is read: to close on it would take the answer away from
        a client that still sends.
        """
        awaited = self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE
        if not awaited or self.transport.is_closing():
            self._stop_headers_timer()
        elif self._headers_timer is None:
            self._headers_timer = self.loop.call_later(self.headers_s, self._headers_late)

    def _stop_headers_timer(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _leave(self) -> None:
        """One that leaves says so in its next answer, and closes after that or once nothing came for a while."""
        if not self._leaving or self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_leave_timer()
            if not self.cycle.response_started and CLOSE not in self.cycle.default_headers:
                self.cycle.default_headers = [*self.cycle.default_headers, CLOSE]
        elif self._leave_timer is None:
            self._leave_timer = self.loop.call_later(self.leave_s, self._left_alone)

    def _left_alone(self) -> None:
        self._leave_timer = None
        if not self.conn.trailing_data[0]:  # else headers are on their way, and have their own time
            super().shutdown()

    def _stop_leave_timer(self) -> None:
        if self._leave_timer is not None:
            self._leave_timer.cancel()
            self._leave_timer = None

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _headers_late(self) -> None:
        self._headers_timer = None
        if self.conn.our_state is h11.DONE:
            self.transport.close()
        elif not self.transport.is_closing():
            self._refuse(408, b"the headers did not arrive in time", b"timeout_error", b"headers_timeout")

    def _refuse(self, status: int, message: bytes, kind: bytes, code: bytes) -> None:
        body = _BODY % (message, kind, code)
        headers: list[tuple[bytes, Any]] = [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), CLOSE,
        ]  # fmt: skip
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
