"""How commands end: exit statuses, and the one sentence that says what was wrong and what to do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer

EXIT_REFUSED = 1  # the server refused the request, or failed at it
EXIT_USAGE = 2  # the command line or a file that it names is wrong; as typer's own
EXIT_UNAVAILABLE = 69  # sysexits.h: no server there, or it is not ready
EXIT_CANCELLED = 130  # Ctrl-C; as shells have it


class CommandError(Exception):
    """Ends a command. `code` and `param` are those of the server's error, if it was one."""

    def __init__(
        self, message: str, *, exit_status: int = EXIT_USAGE, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.exit_status, self.code, self.param = exit_status, code, param

    def body(self) -> dict[str, dict[str, str | None]]:
        """For `--json`, in the shape of the server's errors."""
        return {"error": {"message": str(self), "param": self.param, "code": self.code}}


@contextmanager
def ending(*, as_json: bool) -> Iterator[None]:
    """Turn what ends a command into its last words and its exit status."""
    try:
        yield
    except CommandError as error:
        if as_json:
            typer.echo(json.dumps(error.body()))
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_status) from None
    except KeyboardInterrupt:
        typer.echo("cancelled", err=True)
        raise typer.Exit(EXIT_CANCELLED) from None
