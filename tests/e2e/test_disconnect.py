"""A client that goes away stops the work within a step, whatever phase it is in: counters of all three services."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.server import Server, picture, scene, text, user
from tests.polling import wait_until

CHAT, DRAW = "/v1/chat/completions", "/v1/images/generations"
PHOTO, LARGE = picture(scene(512, 512)), picture(scene(700, 700))
LONG: dict[str, Any] = {
    "modalities": ["image"], "height": 512, "width": 512, "num_inference_steps": 1000, "messages": user("A cat"),
}  # fmt: skip
# Seconds of work each, so that the word of a client that left arrives in the midst of it, on a busy machine too.
EDIT: dict[str, Any] = {**LONG, "messages": user(*[PHOTO] * 10, text("Mix them"))}
ASK: dict[str, Any] = {"messages": user(*[LARGE] * 40, text("What do they share?"))}
THINK: dict[str, Any] = {**LONG, "think": True, "max_think_tokens": 3500}
TWO: dict[str, Any] = {"prompt": "A cat", "n": 2, "size": "768x768", "num_inference_steps": 2}
SMALL: dict[str, Any] = {"prompt": "A cat", "size": "64x64", "num_inference_steps": 2}
BLOCKS = tuple(f'bagel_thinker_prefill_seconds_count{{block="{block}"}}' for block in ("text", "vit", "vae"))
TOKENS, STEPS = ("bagel_thinker_token_seconds_count",), ("bagel_dit_step_seconds_count",)
DECODED, ENCODED = ("bagel_dit_vae_decode_seconds_count",), ("bagel_dit_encode_seconds_count",)
SERVICES = ("gateway", "thinker", "dit")
# The piece under way ends, and others may begin while the word travels: a token takes a few milliseconds.
FEW, MANY = 2, 300


class Counters:
    """How much the figures of all three services have grown."""

    def __init__(self, server: Server) -> None:
        # A stage does one thing after the other: once this is drawn, whatever was still on a device is over.
        assert server.http.post(DRAW, json=SMALL).status_code == 200
        self._server = server
        self._before = {name: value for service in SERVICES for name, value in server.figures(service).items()}

    def grown(self, *names: str) -> float:
        """Together; all of one service."""
        now = self._server.figures(service_of(names[0]))
        return sum(now.get(name, 0.0) - self._before.get(name, 0.0) for name in names)

    def over(self, counter: str, *outcomes: str) -> float:
        """Requests that ended so, of any task."""
        now = self._server.figures(service_of(counter))
        wanted = tuple(f'outcome="{outcome}"' for outcome in outcomes)
        names = [name for name in now if name.startswith(f"{counter}{{") and any(w in name for w in wanted)]
        return sum(now[name] - self._before.get(name, 0.0) for name in names)


def service_of(name: str) -> str:
    return next((service for service in SERVICES if name.startswith(f"bagel_{service}_")), "gateway")


@contextmanager
def sent(server: Server, path: str, body: dict[str, Any]) -> Iterator[None]:
    """A request over a bare socket, which closes with the block."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(data)}\r\n\r\n"
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 0)) as connection:
        connection.sendall(head.encode() + data)
        yield


@dataclass(frozen=True)
class Phase:
    """When to leave, what must then stop growing, by how much at most, and what never began."""

    path: str
    body: dict[str, Any]
    reached: Callable[[Server, Counters], bool]
    stops: tuple[str, ...]
    slack: int
    never: tuple[str, ...]
    cancelled: tuple[str, ...]  # stages that hear of it


PHASES = {
    "prefill": Phase(CHAT, ASK, lambda _, c: c.grown(*BLOCKS) >= 1, BLOCKS, FEW, TOKENS, ("thinker",)),
    "think": Phase(CHAT, THINK, lambda _, c: c.grown(*TOKENS) >= 3, TOKENS, MANY, STEPS, ("thinker",)),
    "transfer": Phase(
        CHAT, EDIT, lambda s, _: s.figures("thinker")["bagel_thinker_open_grants"] == 1, BLOCKS, FEW, STEPS,
        ("thinker", "dit"),
    ),
    "denoise": Phase(CHAT, LONG, lambda _, c: c.grown(*STEPS) >= 2, STEPS, FEW, DECODED, ("dit",)),
}  # fmt: skip


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_a_client_that_leaves_stops_the_work_within_a_step(server: Server, phase: Phase) -> None:
    counters = Counters(server)
    with sent(server, phase.path, phase.body):
        wait_until(lambda: phase.reached(server, counters))
    done = counters.grown(*phase.stops)
    wait_until(lambda: counters.over("bagel_requests_total", "cancelled") == 1)
    server.wait_idle()
    for stage in phase.cancelled:
        # To a DiT that reads, the end of the lease is a failure, and may be the first that it hears.
        wait_until(lambda: counters.over(f"bagel_{stage}_requests_total", "cancelled", "failed") == 1)  # noqa: B023
    assert counters.grown(*phase.stops) <= done + phase.slack
    assert counters.grown(*phase.never) == 0


def test_a_client_that_leaves_while_a_picture_is_decoded_gets_neither_file_nor_second_picture(server: Server) -> None:
    counters = Counters(server)
    with sent(server, DRAW, TWO):
        wait_until(lambda: counters.grown(*STEPS) >= 1)
    wait_until(lambda: counters.over("bagel_dit_requests_total", "cancelled") == 1)
    assert counters.over("bagel_requests_total", "cancelled") == 1
    assert server.http.post(DRAW, json=SMALL).status_code == 200
    # A decode that is under way ends; one that the word has overtaken never begins.
    assert counters.grown(*DECODED) in (1, 2)
    assert counters.grown(*STEPS) == 2
    assert counters.grown(*ENCODED) == 1


@pytest.mark.parametrize(
    ("stage", "body"),
    [("thinker", {"messages": user("Tell me a story"), "max_tokens": 3500}), ("dit", LONG)],
    ids=["thinker", "dit"],
)
def test_a_client_that_leaves_the_queue_of_a_stage_never_begins_there(
    server: Server, stage: str, body: dict[str, Any]
) -> None:
    counters = Counters(server)
    with sent(server, CHAT, body):
        wait_until(lambda: counters.grown(f"bagel_{stage}_queue_seconds_count") == 1)
        with sent(server, CHAT, body):
            wait_until(lambda: server.figures(stage)[f"bagel_{stage}_waiting_requests"] == 1)
        wait_until(lambda: counters.over(f"bagel_{stage}_requests_total", "cancelled") == 1)
        assert counters.over("bagel_requests_total", "cancelled") == 1
        assert server.figures(stage)[f"bagel_{stage}_waiting_requests"] == 0
        assert server.figures(stage)[f"bagel_{stage}_running_requests"] == 1
    wait_until(lambda: counters.over("bagel_requests_total", "cancelled") == 2)
    server.wait_idle()
    assert counters.grown(f"bagel_{stage}_queue_seconds_count") == 1
