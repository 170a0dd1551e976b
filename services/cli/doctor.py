"""`bagel doctor`: what is wrong, and what to do about it."""

import asyncio
import sys
from typing import Annotated

import typer

app = typer.Typer(name="doctor", help="Find out what is wrong, and what to do about it.", no_args_is_help=True)


@app.callback()
def _doctor() -> None:
    """Find out what is wrong, and what to do about it."""


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
    from bagel.stage import StageConfig
    from bagel.stage_exit import EXIT_CONFIG
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
