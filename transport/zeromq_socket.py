"""How both sides of the ZeroMQ plane open their sockets."""

import zmq

HEARTBEAT_MS = 500
# A peer is lost that is silent so long after a heartbeat: at most HEARTBEAT_MS + SILENCE_MS after its last word.
SILENCE_MS = 3500


def open_socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, *, ipv6: bool = True) -> "zmq.Socket[bytes]":
    """A socket that notices a dead peer. One bound to IPv4 must be opened without `ipv6`."""
    socket = context.socket(kind)
    # A socket bound to IPv4 with this on would advertise an IPv6 form of its address.
    socket.setsockopt(zmq.IPV6, int(ipv6))
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, SILENCE_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, SILENCE_MS)
    # Else the kernel goes on for two minutes where nobody refuses.
    socket.setsockopt(zmq.CONNECT_TIMEOUT, SILENCE_MS)
    # The window bounds what is in flight; a full queue of a ROUTER would drop answers in silence.
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    return socket
