"""`python -m services.gateway`: the gateway's process."""

import argparse
import signal
import socket
import sys
from dataclasses import fields

import uvicorn
from fastapi import FastAPI

from bagel.defaults import LOG_FORMATS, LOG_LEVELS
from bagel.errors import ConfigError
from bagel.limits import HEADER_BYTES, HEADER_S
from bagel.logs import configure_logs, get_logger
from bagel.ready import tell_ready
from bagel.stage_exit import EXIT_CONFIG
from bagel.tracing import tracing
from services.gateway.app import make_app
from services.gateway.config import GatewayConfig
from services.gateway.connections import BoundedConnection
from services.gateway.handover import sockets_of
from services.gateway.sampling_defaults import parse_sampling_defaults


def main(argv: list[str] | None = None) -> int:
    """Parse flags and serve until a signal."""
    config = read_flags(argv)
    configure_logs(service="gateway", fmt=config.log_format, level=config.log_level)
    try:
        app = make_app(config)
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG
    server = Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            http=BoundedConnection,
            loop="uvloop",
            log_config=None,
            access_log=False,
            h11_max_incomplete_event_size=HEADER_BYTES.most,
            timeout_keep_alive=int(HEADER_S.most),
            timeout_graceful_shutdown=int(config.drain_s),
        ),
        config.ready_fd,
    )
    get_logger().info("starting", host=config.host, port=config.port)
    # uvicorn raises the signal that stopped it once more when it is done; the last spans are sent after that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tracing("gateway"):
        server.run(sockets_of(config.fd))
    return 0 if server.started else EXIT_CONFIG


class Server(uvicorn.Server):
    """Says when it takes requests, and stops taking calls over gRPC when it stops taking those."""

    def __init__(self, config: uvicorn.Config, ready_fd: int | None) -> None:
        super().__init__(config)
        self._ready_fd = ready_fd

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        tell_ready(self._ready_fd)

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Let what runs end, in the same seconds."""
        assert isinstance(self.config.app, FastAPI)
        self.config.app.state.door.start_closing(float(self.config.timeout_graceful_shutdown or 0))
        await super().shutdown(sockets)


def read_flags(argv: list[str] | None) -> GatewayConfig:
    """The parsed flags; a wrong one ends the process with one sentence."""
    parser = _parser(GatewayConfig())
    options = parser.parse_args(argv)
    told = {field.name: getattr(options, field.name) for field in fields(GatewayConfig) if hasattr(options, field.name)}
    try:
        told["thinkers"], told["dits"] = tuple(options.thinker), tuple(options.dit)
        told["default_sampling"] = parse_sampling_defaults(options.default_sampling, think=options.think)
        return GatewayConfig(**told)
    except ConfigError as error:
        parser.exit(EXIT_CONFIG, f"{parser.prog}: {error}\n")


def _parser(base: GatewayConfig) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bagel-gateway", description="The gateway of a BAGEL deployment.")
    parser.add_argument("--host", default=base.host)
    parser.add_argument("--port", type=int, default=base.port)
    parser.add_argument("--fd", type=int, help="a socket that listens already, in place of host and port")
    parser.add_argument("--ready-fd", type=int, help="a pipe that gets a byte once requests are taken")
    parser.add_argument(
        "--wait-stages-s", type=float, default=base.wait_stages_s,
        help="take no request before the stages are known, for so many seconds at most",
    )  # fmt: skip
    parser.add_argument("--grpc-bind", help="gRPC address of the public service: host:port; off without it")
    parser.add_argument("--grpc-admin-bind", help="gRPC address for reflection; off without it")
    for kind, named in (("--thinker", "a Thinker"), ("--dit", "a DiT")):
        text = f"gRPC address of {named}, or dns:host:port for all that the name has; repeatable"
        parser.add_argument(kind, action="append", default=[], help=text)
    parser.add_argument("--master", help="address of the registry that names the stages: host:port")
    parser.add_argument("--join-token-file", help="file with the secret that the registry asks for")
    parser.add_argument(
        "--hang-s", type=float, default=base.hang_s,
        help="seconds on one piece of work after which a stage's device counts as hung",
    )  # fmt: skip
    parser.add_argument("--think", action="store_true", help="think, unless a request says otherwise")
    parser.add_argument("--default-sampling", help="what is taken where requests are silent, as JSON")
    parser.add_argument("--request-timeout-s", type=float, default=base.request_timeout_s)
    parser.add_argument("--max-queue", type=int, default=base.max_queue, help="cost of requests that may wait")
    parser.add_argument("--max-running", type=int, default=base.max_running, help="requests of a kind a stage gets")
    parser.add_argument("--max-running-pictures", type=int, help="the same of pictures alone, where it is another")
    parser.add_argument("--api-keys", help="file of API keys; without one everybody may ask")
    parser.add_argument("--key-per-minute", type=float, help="requests a minute of a key; no limit without it")
    parser.add_argument("--key-at-once", type=int, help="requests on their way of a key; no limit without it")
    parser.add_argument("--fetch-images", action="store_true", help="fetch pictures that are named by http(s)")
    parser.add_argument("--decoders", type=int, default=base.decoders, help="processes that decode pictures")
    parser.add_argument(
        "--image-output", default=base.image_output, choices=("content", "images"),
        help="where a chat completion's picture stands, unless the request says so",
    )  # fmt: skip
    parser.add_argument("--drain-s", type=float, default=base.drain_s, help="seconds that running requests get")
    parser.add_argument("--log-format", default=base.log_format, choices=LOG_FORMATS)
    parser.add_argument("--log-level", default=base.log_level, choices=LOG_LEVELS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
