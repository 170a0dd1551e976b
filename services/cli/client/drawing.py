"""Carrying out an order: the request, what people see meanwhile, the files."""

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import typer

from services.cli.client.answers import Drawn, Finish, Happening, Note, Piece, Preview, Step, happenings
from services.cli.client.files import size_of
from services.cli.client.gateway import Gateway, Json, Post
from services.cli.client.orders import Order
from services.cli.client.screen import Screen
from services.cli.errors import EXIT_UNAVAILABLE, CommandError
from services.cli.options import MAX_PREVIEWS

RANDOM_SEED_BITS = 32


def seed_or_random(seed: int | None) -> int:
    """The seed that was asked for, or a new one: streams do not tell the server's."""
    return secrets.randbits(RANDOM_SEED_BITS) if seed is None else seed


def previews_or_default(previews: int | None) -> int:
    """How many previews: all that there are where people can see them."""
    return (MAX_PREVIEWS if Screen(1).shows_pictures else 0) if previews is None else previews


def draw(gateway: Gateway, order: Order) -> list[bytes]:
    """Draw, show and save; the pictures. Raises CommandError."""
    if not (order.settings.think or order.history):
        return _follow(gateway, order.images_post(), order, range(order.count))
    return [data for index in range(order.count) for data in _follow(gateway, order.chat_post(index), order, [index])]


def draw_as_json(gateway: Gateway, order: Order) -> None:
    """Draw and save without a word; then the server's answer, with files in place of pictures."""
    answer = gateway.whole(order.images_post())
    pictures: list[Json] = []
    try:
        for index, entry in enumerate(answer.pop("data")):
            picture = Drawn.decoded(index, entry.pop("b64_json"))
            path = order.target.path(index, order.count)
            order.target.save(picture.data, path)
            pictures.append({"path": str(path), **entry})
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"the answer holds no picture ({error})", exit_status=EXIT_UNAVAILABLE) from error
    typer.echo(json.dumps({"pictures": pictures, **answer}), err=order.target.to_stdout)


def _follow(gateway: Gateway, post: Post, order: Order, pictures: Sequence[int]) -> list[bytes]:
    """Pictures of one stream; `pictures` are their indices within the order."""
    started, drawn, saved = time.monotonic(), list[bytes](), list[str]()
    try:
        with Screen(len(pictures)).shown() as screen, gateway.stream(post) as events:
            for picture in _watched(happenings(events), screen, order, pictures):
                saved.append(_save(order, pictures[picture.picture], picture.data, time.monotonic() - started))
                drawn.append(picture.data)
    finally:
        # Said when the terminal is free again, also of those that were whole before something went wrong.
        for line in saved:
            typer.echo(line, err=order.target.to_stdout)
    if len(drawn) < len(pictures):
        message = f"the answer ended after {len(drawn)} of {len(pictures)} pictures; the server's log says why"
        raise CommandError(message, exit_status=EXIT_UNAVAILABLE)
    return drawn


def _watched(
    what_happens: Iterator[Happening], screen: Screen, order: Order, pictures: Sequence[int]
) -> Iterator[Drawn]:
    """Finished pictures; everything else goes to the screen and, if it was asked for, previews to files."""
    previews = Counter[int]()
    for what in what_happens:
        match what:
            case Note(text=text):
                screen.note(text)
            case Piece(text=text):
                screen.thought(text)
            case Step(picture=picture, done=done, total=total):
                screen.step(picture, done, total)
            case Preview(picture=picture, data=data):
                screen.preview(data)
                if order.saves_previews:
                    _save_preview(order, pictures[picture], previews[picture], data)
                previews[picture] += 1
            case Drawn(data=data):
                if order.previews:
                    screen.finished(data)
                yield what
            case Finish():
                pass  # of the thought


def _save(order: Order, index: int, data: bytes, seconds: float) -> str:
    """Save a picture; what to say of it."""
    path = order.target.path(index, order.count)
    order.target.save(data, path)
    width, height = size_of(data)
    name = "stdout" if order.target.to_stdout else path
    return f"{name}: {width} x {height}, seed {order.seed + index}, {seconds:.1f} s"


def _save_preview(order: Order, index: int, preview: int, data: bytes) -> None:
    if not order.target.to_stdout:
        order.target.save(data, order.target.path(index, order.count, preview=preview))
