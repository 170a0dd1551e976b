"""A holder that answers as a test wants, and a request for two of its pages."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import xxhash
import zmq

from bagel.kv_layout import PageRun
from transport.base import FetchRequest, Region, in_order
from transport.zeromq_wire import Ask

PAGE_BYTES, EPOCH, TOKEN = 4096, 3, b"t" * 16
PAGES = [bytes([number]) * PAGE_BYTES for number in range(4)]
DIGESTS = [xxhash.xxh3_64_intdigest(page) for page in PAGES]
CPU = torch.device("cpu")
NOT_SOON_S = 30.0
Behaviour = Callable[["zmq.Socket[bytes]", bytes, Ask], None]


def page_request(address: str, *, token: bytes = TOKEN, within_s: float = NOT_SOON_S) -> FetchRequest:
    """Two pages, asked for one by one."""
    return FetchRequest(
        address=address,
        epoch=EPOCH,
        token=token,
        copies=in_order([PageRun(0, 1), PageRun(2, 1)]),
        digests=[DIGESTS[0], DIGESTS[2]],
        generations=[1, 2],
        page_bytes=PAGE_BYTES,
        into=Region(torch.zeros(2 * PAGE_BYTES, dtype=torch.uint8)),
        deadline_s=time.monotonic() + within_s,
    )


@contextmanager
def fake_holder(behave: Behaviour) -> Iterator[str]:
    """A ROUTER in a thread that answers each ask as `behave` says, until the test is over or it closes the socket."""
    context = zmq.Context()
    socket, stop = context.socket(zmq.ROUTER), threading.Event()
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")

    def run() -> None:
        # Closed by the thread that used it: a context that closes it from elsewhere may wait for ever.
        with socket:
            while not stop.is_set() and not socket.closed:
                if socket.poll(20):
                    peer, frame = socket.recv_multipart()
                    behave(socket, peer, Ask.unpack(frame))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join()
        context.destroy(linger=0)


def answer_with(*messages: Sequence[bytes]) -> Behaviour:
    """Answer every ask with these messages, each of so many frames."""

    def behave(socket: "zmq.Socket[bytes]", peer: bytes, ask: Ask) -> None:
        for frames in messages:
            socket.send_multipart([peer, *frames])

    return behave
