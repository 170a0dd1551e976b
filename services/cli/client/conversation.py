"""`bagel chat` on a terminal: lines in, answers out, and everything that was said and drawn so far goes along."""

import contextlib
import secrets
import shlex
from dataclasses import dataclass, field, replace

import typer

from services.cli.client.asking import ask
from services.cli.client.drawing import RANDOM_SEED_BITS, draw, previews_or_default
from services.cli.client.files import InputPicture, Target, picture_part, read_picture
from services.cli.client.gateway import Gateway
from services.cli.client.orders import Fields, Order, user_message
from services.cli.errors import CommandError
from services.cli.options import DrawingSettings, WritingSettings

PROMPT = "> "
HELP = """\
/picture FILE   show the model a picture, with your next line
/draw PROMPT    draw: a new picture, or a change of what was drawn or shown before
/think          let the model think first, or no longer
/new            begin again
/quit           leave, as Ctrl-D does; Ctrl-C stops an answer"""


@dataclass(slots=True)
class Conversation:
    """What was said so far, in order, and what goes with the next line."""

    gateway: Gateway
    writing: WritingSettings
    pictures: list[InputPicture]
    messages: list[Fields] = field(default_factory=list)

    def run(self) -> None:
        """Until the end of the input, or Ctrl-C while nothing is under way."""
        # Line editing; a Python without it merely lacks that.
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401
        typer.echo(f"{self.gateway.url}; /help tells what else there is, Ctrl-D leaves", err=True)
        while True:
            try:
                line = input(PROMPT).strip()
            except (EOFError, KeyboardInterrupt):
                typer.echo("", err=True)
                return
            if line == "/quit":
                return
            try:
                self._take(line)
            except CommandError as error:
                typer.echo(f"error: {error}", err=True)
            except KeyboardInterrupt:
                typer.echo("stopped, and forgotten", err=True)

    def _take(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        match command:
            case "":
                return
            case "/help":
                typer.echo(HELP, err=True)
            case "/picture":
                self.pictures += [read_picture(path) for path in _paths(rest)]
                typer.echo(f"{len(self.pictures)} with your next line", err=True)
            case "/draw":
                self._draw(rest)
            case "/think":
                self.writing = replace(self.writing, think=not self.writing.think)
                typer.echo(f"thinking is {'on' if self.writing.think else 'off'}", err=True)
            case "/new":
                self.messages, self.pictures = [], []
            case _ if command.startswith("/"):
                raise CommandError(f"{command}: no such command; /help lists them")
            case _:
                self._ask(line)

    def _ask(self, line: str) -> None:
        # What fails or is stopped was never said.
        message = user_message(line, tuple(self.pictures))
        answer = ask(self.gateway, [*self.messages, message], self.writing)
        self.messages += [message, {"role": "assistant", "content": answer}]
        self.pictures = []

    def _draw(self, prompt: str) -> None:
        if not prompt:
            raise CommandError("/draw: say what")
        seed = secrets.randbits(RANDOM_SEED_BITS)
        order = Order(
            prompt=prompt, settings=DrawingSettings(think=self.writing.think), seed=seed, target=Target.of(None, seed),
            inputs=tuple(self.pictures), history=tuple(self.messages), previews=previews_or_default(None),
        )  # fmt: skip
        (drawn,) = draw(self.gateway, order)
        answer = {"role": "assistant", "content": [picture_part(drawn, order.target.mime)]}
        self.messages += [order.message(), answer]
        self.pictures = []


def _paths(text: str) -> list[str]:
    try:
        paths = shlex.split(text)
    except ValueError as error:
        raise CommandError(f"/picture: {error}") from None
    if not paths:
        raise CommandError("/picture: name a file")
    return paths
