"""`bagel chat` and `bagel describe`. Imports nothing heavy before a command runs."""

import sys
from typing import Annotated

import typer

from services.cli import options
from services.cli.errors import CommandError, ending
from services.cli.options import URL, Connection, WritingSettings

STDIN = "-"
QUESTION = "Describe this image in detail"


def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="What to say; - for stdin. Without it: a conversation on a terminal.")
    ] = None,
    picture: options.Pictures = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    think: options.Think = False,
    max_think_tokens: options.MaxThinkTokens = None,
    url: options.Url = URL,
    api_key: options.ApiKey = None,
    timeout_s: options.TimeoutS = None,
    as_json: options.AsJson = False,
) -> None:
    """Talk: one answer to an argument or to stdin, a conversation on a terminal. Ctrl-C stops the answer."""
    settings = WritingSettings(
        max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, think=think,
        max_think_tokens=max_think_tokens,
    )  # fmt: skip
    _talk(Connection(url=url, api_key=api_key, timeout_s=timeout_s), prompt, picture or [], settings, as_json=as_json)


def describe(
    picture: Annotated[str, typer.Argument(help="PNG, JPEG or WebP file.")],
    question: Annotated[str, typer.Argument(help="What to ask about it.")] = QUESTION,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    think: options.Think = False,
    max_think_tokens: options.MaxThinkTokens = None,
    url: options.Url = URL,
    api_key: options.ApiKey = None,
    timeout_s: options.TimeoutS = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what is on a picture, or answer a question about it."""
    settings = WritingSettings(
        max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, think=think,
        max_think_tokens=max_think_tokens,
    )  # fmt: skip
    _talk(Connection(url=url, api_key=api_key, timeout_s=timeout_s), question, [picture], settings, as_json=as_json)


def _talk(
    connection: Connection, prompt: str | None, paths: list[str], settings: WritingSettings, *, as_json: bool
) -> None:
    from services.cli.client.asking import ask, ask_as_json
    from services.cli.client.conversation import Conversation
    from services.cli.client.files import read_picture
    from services.cli.client.gateway import connect
    from services.cli.client.orders import user_message

    with ending(as_json=as_json):
        pictures = [read_picture(path) for path in paths]
        if prompt is None and sys.stdin.isatty() and not as_json:
            with connect(connection) as gateway:
                Conversation(gateway, settings, pictures).run()
            return
        message = user_message(_said(prompt), tuple(pictures))
        with connect(connection) as gateway:
            (ask_as_json if as_json else ask)(gateway, [message], settings)


def _said(prompt: str | None) -> str:
    if prompt not in (None, STDIN):
        return str(prompt)
    try:
        text = sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise CommandError(f"stdin is no text ({error.reason})") from None
    if not text:
        raise CommandError("nothing to say: give a text as an argument or on stdin")
    return text
