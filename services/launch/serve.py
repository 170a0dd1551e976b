"""`bagel serve`: one node with all its processes."""

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path

from bagel.errors import ConfigError
from bagel.logs import configure_logs, get_logger
from bagel.stage_exit import EXIT_CONFIG
from services.launch.plan import ChildSpec, ServeOptions, plan_children
from services.launch.readiness import report_until_ready
from services.launch.supervisor import Supervisor

MAX_RUNTIME_PATH = 80  # a socket's whole path has room for 107 characters


def serve(options: ServeOptions) -> int:
    """Run until a signal; the exit status."""
    configure_logs(service="bagel", fmt=options.log_format, level=options.log_level)
    try:
        _check_port(options.host, options.port, "--port")
        if options.grpc_port is not None:
            _check_port(options.host, options.grpc_port, "--grpc-port")
        with tempfile.TemporaryDirectory(prefix="bagel-") as runtime:
            if len(runtime) > MAX_RUNTIME_PATH:
                raise ConfigError(f"{runtime}: too long a path for unix sockets; set TMPDIR to a shorter one")
            children = plan_children(options, Path(runtime))
            get_logger().info("starting", model=options.model, port=options.port)
            return asyncio.run(_run(options, children))
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG


async def _run(options: ServeOptions, children: list[ChildSpec]) -> int:
    supervisor = Supervisor(children, drain_s=options.drain_s)
    reporting = asyncio.create_task(report_until_ready(options.host, options.port))
    try:
        return await supervisor.run()
    finally:
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting


def _check_port(host: str, port: int, flag: str) -> None:
    """Fail early, with a sentence, when the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be listened on ({error.strerror}); free it or take another with {flag}"
            ) from error
