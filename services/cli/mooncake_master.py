"""`bagel mooncake-master`: the two servers that Mooncake's store needs, from the installed wheel, until a signal.

Mooncake's master brings a metadata server of its own, but that one listens on every interface whatever
`--http_metadata_server_host` says. So the wheel's other one runs beside it, which listens where it is told.
"""

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from bagel import defaults

MASTER_PORT, METADATA_PORT, METRICS_PORT = 50_051, 8_080, 9_003  # Mooncake's own
LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterOptions:
    """Where the servers listen. All of them are open to whoever reaches them."""

    host: str = "127.0.0.1"
    port: int = MASTER_PORT
    metadata_port: int = METADATA_PORT
    metrics_port: int = METRICS_PORT
    log_format: str = "auto"
    log_level: str = "info"


def mooncake_master(
    host: Annotated[str, typer.Option(help="Address to listen on. Whoever reaches it reads every page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the master.")] = MASTER_PORT,
    metadata_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the metadata.")] = METADATA_PORT,
    metrics_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the metrics.")] = METRICS_PORT,
    log_format: Annotated[defaults.LogFormat, typer.Option(help="Form of the logs.")] = defaults.LogFormat.AUTO,
    log_level: Annotated[defaults.LogLevel, typer.Option(help="Least level logged.")] = defaults.LogLevel.INFO,
) -> None:
    """Start the servers of Mooncake's store, and keep them running until Ctrl-C."""
    options = MasterOptions(
        host=host, port=port, metadata_port=metadata_port, metrics_port=metrics_port, log_format=log_format.value,
        log_level=log_level.value,
    )  # fmt: skip
    sys.exit(run(options))


def run(options: MasterOptions) -> int:
    """Run until a signal or until a server cannot; the exit status."""
    from bagel.errors import ConfigError
    from bagel.logs import configure_logs, get_logger
    from bagel.stage_exit import EXIT_CONFIG
    from transport.mooncake_install import load

    configure_logs(service="mooncake-master", fmt=options.log_format, level=options.log_level)
    try:
        load("store")  # the master needs the same libraries
        for port in (options.port, options.metadata_port, options.metrics_port):
            _check_free(options.host, port)
        return asyncio.run(_supervise(options))
    except ConfigError as error:
        get_logger().error("cannot_start", reason=str(error))
        return EXIT_CONFIG


async def _supervise(options: MasterOptions) -> int:
    from services.launch.plan import ChildSpec
    from services.launch.supervisor import Supervisor

    tied = (sys.executable, "-m", "services.launch.child", str(os.getpid()))
    master = (
        f"--rpc_address={options.host}", f"--rpc_port={options.port}", f"--metrics_host={options.host}",
        f"--metrics_port={options.metrics_port}", "--enable_metric_reporting=false", "--logtostderr", "--minloglevel=1",
    )  # fmt: skip
    metadata = ("--host", options.host, "--port", str(options.metadata_port), "--log-level", "WARNING")
    supervisor = Supervisor(
        [
            ChildSpec("metadata", (*tied, "mooncake.http_metadata_server", *metadata)),
            ChildSpec("master", (*tied, "mooncake.cli", *master)),
        ],
        drain_s=0.0,
    )
    reporting = asyncio.create_task(_report_ready(options))
    try:
        return await supervisor.run()
    finally:
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting


async def _report_ready(options: MasterOptions) -> None:
    """Say in the log where the servers are once both accept connections."""
    from bagel.logs import get_logger

    for port in (options.port, options.metadata_port):
        while True:
            try:
                _, writer = await asyncio.open_connection(options.host, port)
            except OSError:
                await asyncio.sleep(LOOK_S)
                continue
            writer.close()
            break
    host = f"[{options.host}]" if ":" in options.host else options.host
    get_logger().info(
        "ready", master=f"{host}:{options.port}", metadata=f"http://{host}:{options.metadata_port}/metadata"
    )


def _check_free(host: str, port: int) -> None:
    from bagel.errors import ConfigError

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be listened on ({error.strerror}): free it, or take another with --port,"
                " --metadata-port or --metrics-port"
            ) from error
