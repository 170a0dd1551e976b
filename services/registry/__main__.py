"""`python -m services.registry`: the registry's process. Needs no torch; its state is what its workers tell it."""

import argparse
import asyncio
import signal
import sys

from bagel import __version__
from bagel.addresses import is_loopback
from bagel.defaults import LOG_FORMATS, LOG_LEVELS
from bagel.errors import ConfigError
from bagel.logs import configure_logs, get_logger
from bagel.stage_exit import EXIT_CONFIG
from services.registry.config import RegistryConfig
from services.registry.server import running_registry


def main(argv: list[str] | None = None) -> int:
    """Parse flags and serve until a signal."""
    config = _config(argv)
    configure_logs(service="registry", fmt=config.log_format, level=config.log_level)
    try:
        asyncio.run(serve(config))
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG
    return 0


async def serve(config: RegistryConfig) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with running_registry(config) as registry:
        get_logger().info("listening", address=registry.address, version=__version__)
        if not registry.guarded and not is_loopback(registry.address):
            get_logger().warning("open_to_everybody", address=registry.address, hint="set --join-token-file")
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({registry.failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if registry.failed.done():
            registry.failed.result()
        get_logger().info("stopping", workers=len(registry.book))


def _config(argv: list[str] | None) -> RegistryConfig:
    base = RegistryConfig()
    parser = argparse.ArgumentParser(prog="bagel-registry", description="The registry of a BAGEL deployment.")
    parser.add_argument("--bind", default=base.bind, help="gRPC address: host:port or [host]:port; port 0 takes any")
    parser.add_argument("--join-token-file", help="file with the secret that workers and gateways show")
    parser.add_argument("--heartbeat-s", type=float, default=base.heartbeat_s, help="seconds between heartbeats")
    parser.add_argument("--drain-s", type=float, default=base.drain_s, help="seconds that calls get to end")
    parser.add_argument("--log-format", default=base.log_format, choices=LOG_FORMATS)
    parser.add_argument("--log-level", default=base.log_level, choices=LOG_LEVELS)
    options = parser.parse_args(argv)
    try:
        return RegistryConfig(
            bind=options.bind,
            join_token_file=options.join_token_file,
            heartbeat_s=options.heartbeat_s,
            drain_s=options.drain_s,
            log_format=options.log_format,
            log_level=options.log_level,
        )
    except ConfigError as error:
        parser.exit(EXIT_CONFIG, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
