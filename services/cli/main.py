"""The command line. Imports nothing heavy before a command runs, so that help is there at once."""

import typer

from services.cli.config_check import app as config
from services.cli.doctor import app as doctor
from services.cli.keys import app as keys
from services.cli.mooncake_master import mooncake_master
from services.cli.pictures import edit, generate
from services.cli.serving import serve
from services.cli.texts import chat, describe

app = typer.Typer(
    name="bagel", help="Serve BAGEL: one model that understands and makes pictures.", no_args_is_help=True,
    add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip


@app.callback()
def _bagel() -> None:
    """Serve BAGEL: one model that understands and makes pictures."""


@app.command()
def version() -> None:
    """Print the version."""
    from bagel import __version__

    typer.echo(f"bagel-serve {__version__}")


app.command()(serve)
for command in (generate, edit, describe, chat):
    app.command()(command)
app.add_typer(doctor)
app.add_typer(config)
app.add_typer(keys)
app.command()(mooncake_master)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
