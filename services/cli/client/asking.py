"""One question: the request, and its answer as it is written."""

import json
import sys
from collections.abc import Sequence

import typer

from services.cli.client.answers import Finish, Note, Piece, happenings
from services.cli.client.gateway import Gateway, Post
from services.cli.client.orders import CHAT, Fields
from services.cli.client.screen import printable
from services.cli.errors import EXIT_UNAVAILABLE, CommandError
from services.cli.options import WritingSettings

CUT_OFF = "length"


def ask(gateway: Gateway, messages: Sequence[Fields], settings: WritingSettings) -> str:
    """Write the answer to stdout while it comes; the whole of it. Raises CommandError."""
    said: list[str] = []
    reason = None
    on_terminal = sys.stdout.isatty()
    try:
        with gateway.stream(_post(messages, settings)) as events:
            for what in happenings(events):
                match what:
                    case Piece(text=text):
                        sys.stdout.write(printable(text) if on_terminal else text)
                        sys.stdout.flush()
                        said.append(text)
                    case Finish():
                        reason = what.reason
                    case Note(text=text) if sys.stderr.isatty():
                        typer.echo(printable(text), err=True)
    finally:
        if said and not said[-1].endswith("\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()
    if reason is None:
        message = "the answer ended before its end; the server's log says why"
        raise CommandError(message, exit_status=EXIT_UNAVAILABLE)
    if reason == CUT_OFF:
        typer.echo("(cut off at its limit; --max-tokens takes more)", err=True)
    return "".join(said)


def ask_as_json(gateway: Gateway, messages: Sequence[Fields], settings: WritingSettings) -> None:
    """The whole answer with the server's figures, as JSON."""
    answer = gateway.whole(_post(messages, settings))
    try:
        choice = answer.pop("choices")[0]
        said = {"text": choice["message"]["content"], "finish_reason": choice["finish_reason"]}
    except (KeyError, TypeError, IndexError) as error:
        message = f"the answer holds no text ({type(error).__name__}: {error})"
        raise CommandError(message, exit_status=EXIT_UNAVAILABLE) from error
    typer.echo(json.dumps({**said, **answer}))


def _post(messages: Sequence[Fields], settings: WritingSettings) -> Post:
    fields = {
        "messages": list(messages),
        "modalities": ["text"],
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "seed": settings.seed,
        "think": settings.think or None,
        "max_think_tokens": settings.max_think_tokens,
    }
    return Post(path=CHAT, fields=fields)
