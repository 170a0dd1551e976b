"""`python -m services.gateway`: the gateway's process."""

import argparse
import sys

import uvicorn

from bagel.defaults import LOG_FORMATS, LOG_LEVELS
from bagel.limits import HEADER_BYTES
from bagel.logs import configure_logs, get_logger
from services.gateway.app import make_app
from services.gateway.config import GatewayConfig


def main(argv: list[str] | None = None) -> int:
    """Parse flags and serve until a signal."""
    config = _config(argv)
    configure_logs(service="gateway", fmt=config.log_format, level=config.log_level)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(config),
            host=config.host,
            port=config.port,
            http="h11",
            loop="uvloop",
            log_config=None,
            access_log=False,
            h11_max_incomplete_event_size=HEADER_BYTES.most,
            timeout_graceful_shutdown=int(config.drain_s),
        )
    )
    get_logger().info("starting", host=config.host, port=config.port)
    server.run()
    return 0


def _config(argv: list[str] | None) -> GatewayConfig:
    base = GatewayConfig()
    parser = argparse.ArgumentParser(prog="bagel-gateway", description="The gateway of a BAGEL deployment.")
    parser.add_argument("--host", default=base.host)
    parser.add_argument("--port", type=int, default=base.port)
    parser.add_argument("--thinker", action="append", default=[], help="gRPC address of a Thinker; repeatable")
    parser.add_argument("--dit", action="append", default=[], help="gRPC address of a DiT; repeatable")
    parser.add_argument("--request-timeout-s", type=float, default=base.request_timeout_s)
    parser.add_argument(
        "--image-output", default=base.image_output, choices=("content", "images"),
        help="where a chat completion's picture stands, unless the request says so",
    )  # fmt: skip
    parser.add_argument("--drain-s", type=float, default=base.drain_s, help="seconds that running requests get")
    parser.add_argument("--log-format", default=base.log_format, choices=LOG_FORMATS)
    parser.add_argument("--log-level", default=base.log_level, choices=LOG_LEVELS)
    options = parser.parse_args(argv)
    return GatewayConfig(
        host=options.host,
        port=options.port,
        thinkers=tuple(options.thinker),
        dits=tuple(options.dit),
        request_timeout_s=options.request_timeout_s,
        image_output=options.image_output,
        drain_s=options.drain_s,
        log_format=options.log_format,
        log_level=options.log_level,
    )


if __name__ == "__main__":
    sys.exit(main())
