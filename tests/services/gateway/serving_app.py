"""An application behind the gateway's own HTTP server, in a thread, for tests of what stands in front of endpoints."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from bagel.limits import HEADER_BYTES
from services.gateway.connections import BoundedConnection

STOP_S = 10.0


@contextmanager
def served(app: ASGIApp, connection: type[BoundedConnection] = BoundedConnection) -> Iterator[tuple[str, int]]:
    """Its address, for the time of a block."""
    with running(app, connection) as (address, _):
        yield address


@contextmanager
def running(
    app: ASGIApp, connection: type[BoundedConnection] = BoundedConnection, grace_s: int = 1
) -> Iterator[tuple[tuple[str, int], uvicorn.Server]]:
    """Its address and the server, which may be told to stop within the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=connection, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=grace_s,
        h11_max_incomplete_event_size=HEADER_BYTES.most,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname(), server
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        assert not thread.is_alive()
