"""How both sides of the ZeroMQ plane open their sockets, and how this process treats the memory of their frames."""

import ctypes
from functools import cache

import zmq

HEARTBEAT_MS = 500
# A peer is lost that is silent so long after a heartbeat: at most HEARTBEAT_MS + SILENCE_MS after its last word.
SILENCE_MS = 3500
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


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


@cache
def keep_frames_memory() -> None:
    """Have the allocator keep what frames leave behind, up to 128 MiB, for the next ones; for the whole process, once.

    libzmq allocates every frame that it receives. glibc by default gives such memory back to the kernel at once, and
    then half of a transfer's time is page faults. Does nothing where the C library knows no `mallopt`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # glibc's own upper limit; unset, setting the other would make it 128 KiB
        mallopt(_M_TRIM_THRESHOLD, 128 << 20)
