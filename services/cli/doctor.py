"""`bagel doctor`: what is wrong, and what to do about it."""

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bagel import defaults
from services.cli import options

if TYPE_CHECKING:
    from services.cli.checks.findings import Finding

app = typer.Typer(name="doctor", help="Find out what is wrong, and what to do about it.")


@app.callback(invoke_without_command=True)
def doctor(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Folder, Hugging Face id, or a bundled model.")] = defaults.MODEL,
    hashes: Annotated[bool, typer.Option("--hashes", help="Hash large weights too, which takes long.")] = False,
    url: Annotated[
        str | None,
        typer.Option(envvar="BAGEL_URL", help=f"A server that must be there; default {options.URL}, if one is."),
    ] = None,
    api_key: options.ApiKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find out what is wrong, and what to do about it: this machine, what is installed, the model, a server.

    Exit status 1 when something cannot work. Reaches nothing but the server.
    """
    if context.invoked_subcommand is not None:
        return
    from services.cli.checks.findings import report
    from services.cli.errors import EXIT_REFUSED, ending

    with ending(as_json=as_json):
        connection = options.Connection(url=url or options.URL, api_key=api_key)
        findings = _findings(model, connection, hashes=hashes, named=url is not None)
        if not report(findings, as_json=as_json):
            raise typer.Exit(EXIT_REFUSED)


def _findings(model: str, connection: options.Connection, *, hashes: bool, named: bool) -> "Iterator[Finding]":
    from services.cli.checks.findings import Finding
    from services.cli.checks.machine import check_machine, check_memory
    from services.cli.checks.model import check_model, find_model, weights_bytes
    from services.cli.checks.packages import check_packages, check_torch
    from services.cli.checks.server import check_server
    from services.cli.checks.transports import check_transports

    yield from check_machine()
    yield from check_packages()
    yield from check_torch()
    source = find_model(model)
    if isinstance(source, Finding):
        yield source
    else:
        yield from check_model(source, hashes=hashes)
        yield check_memory(weights_bytes(source))
    yield from check_transports()
    yield from check_server(connection, expected=named)


@app.command()
def transport(
    peer: Annotated[str | None, typer.Argument(help="host:port of a node that listens.")] = None,
    listen: Annotated[str | None, typer.Option(help="host:port to serve test pages at, for the other node.")] = None,
    transport: Annotated[str, typer.Option(help="auto, or of shm, mooncake, zeromq some with commas.")] = "auto",
    kv_bind: Annotated[str, typer.Option(help="Where zeromq serves: tcp://host:port.")] = "tcp://127.0.0.1:0",
    kv_advertise_host: Annotated[str | None, typer.Option(help="Host that the other node dials.")] = None,
) -> None:
    """Measure how KV pages would move between two nodes: listen on one, name it on the other."""
    from bagel.errors import ConfigError
    from bagel.logs import configure_logs
    from bagel.stage_exit import EXIT_CONFIG
    from bagel.stage_flags import StageConfig
    from services.cli.link import explain, measure
    from services.cli.link import listen as serve

    configure_logs(service="doctor", fmt="text", level="warning")
    config = StageConfig(transport=transport, kv_bind=kv_bind, kv_advertise_host=kv_advertise_host)
    try:
        if listen is not None:
            asyncio.run(serve(listen, config))
        elif peer is not None:
            findings = asyncio.run(measure(peer, config))
            for finding in findings:
                typer.echo(finding.line())
            typer.echo(explain(findings))
            sys.exit(0 if any(finding.problem is None for finding in findings) else 1)
        else:
            raise ConfigError("name the other node, or --listen for it")
    except KeyboardInterrupt:
        return
    except ConfigError as error:
        typer.echo(str(error), err=True)
        sys.exit(EXIT_CONFIG)
