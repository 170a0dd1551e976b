"""`bagel keys`: API keys for `bagel serve --api-keys FILE`."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bagel.errors import ConfigError
from bagel.stage_exit import EXIT_CONFIG

app = typer.Typer(name="keys", help="API keys that a gateway asks for.", no_args_is_help=True)
File = Annotated[Path, typer.Option("--file", "-f", help="The file of keys; `bagel serve --api-keys` reads it.")]
DEFAULT_FILE = Path("api-keys.jsonl")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose it is: letters, digits and . _ -")],
    file: File = DEFAULT_FILE,
    per_minute: Annotated[float | None, typer.Option(min=0.001, help="Requests a minute.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Requests on their way at once.")] = None,
) -> None:
    """Make a key, add its hash to the file, and print it: it cannot be shown again."""
    from services.gateway.keys import add_key

    try:
        secret = add_key(file, name, per_minute=per_minute, at_once=at_once)
    except ConfigError as error:
        _stop(error)
    typer.echo(secret)
    typer.echo(f"added to {file}; deleting its line there ends the key", err=True)


@app.command("list")
def list_keys(file: File = DEFAULT_FILE) -> None:
    """Print the names of a file's keys, and their limits."""
    from services.gateway.keys import read_keys

    try:
        keys = read_keys(file)
    except ConfigError as error:
        _stop(error)
    for key in keys:
        limits = [] if key.per_minute is None else [f"{key.per_minute:g} a minute"]
        limits += [] if key.at_once is None else [f"{key.at_once} at once"]
        typer.echo("  ".join([key.name, ", ".join(limits)]).rstrip())


def _stop(error: ConfigError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(EXIT_CONFIG) from None
