"""The three processes started by hand over TCP, in any order, as on several nodes."""

from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.chaos.failover_orders import PARTS, READY_S, start_in
from tests.e2e.server import read_picture, user
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import running

MODEL = ("--model", "tests/golden/checkpoint", "--kv-pool-tokens", "2048", "--plain-progress", "--log-format", "json")
DRAW: dict[str, Any] = {
    "messages": user("A red circle"), "modalities": ["image"], "height": 64, "width": 80, "num_inference_steps": 4,
    "seed": 2,
}  # fmt: skip


def draw_with_stages_started(order: tuple[str, ...], host: str) -> bytes:
    """Start thinker, dit and gateway in that order, each when the one before it is up, and draw."""
    ports = {name: free_port() for name in order}
    at = {name: f"{host}:{port}" for name, port in ports.items()}
    flags = {
        "thinker": (
            *MODEL, "--bind", at["thinker"], "--advertise-address", at["thinker"], "--kv-bind", f"tcp://{host}:0",
            "--kv-advertise-host", host.strip("[]"),
        ),
        "dit": (*MODEL, "--bind", at["dit"]),
        "gateway": (
            "--host", host.strip("[]"), "--port", str(ports["gateway"]), "--thinker", at["thinker"],
            "--dit", at["dit"], "--log-format", "json",
        ),
    }  # fmt: skip
    with ExitStack() as stack:
        for name in order:
            process = stack.enter_context(running(f"services.{name}", *flags[name]))
            process.wait_event("starting" if name == "gateway" else "ready")
        with httpx.Client(base_url=f"http://{host}:{ports['gateway']}", timeout=30, transport=_retrying()) as http:
            wait_until(lambda: http.get("/readyz").is_success)
            return read_picture(http.post("/v1/chat/completions", json=DRAW).raise_for_status().json())


def _retrying() -> httpx.HTTPTransport:
    """The gateway says that it starts before it listens."""
    return httpx.HTTPTransport(retries=5)


def test_whoever_starts_first_the_picture_is_the_same() -> None:
    orders = (("thinker", "dit", "gateway"), ("dit", "gateway", "thinker"), ("gateway", "thinker", "dit"))
    assert len({draw_with_stages_started(order, "127.0.0.1") for order in orders}) == 1


@pytest.mark.parametrize("order", [PARTS, PARTS[::-1]], ids=["gateway first", "gateway last"])
def test_stages_that_join_are_known_soon_after_their_load(order: tuple[str, ...]) -> None:
    """All 24 orders are tried by `make chaos`."""
    assert start_in(order, registry_first=order is not PARTS) < READY_S


def test_ipv6_addresses_work_everywhere() -> None:
    assert draw_with_stages_started(("dit", "gateway", "thinker"), "[::1]")


def test_a_taken_address_is_one_clear_message() -> None:
    port = free_port()
    with running("services.dit", *MODEL, "--bind", f"127.0.0.1:{port}") as first:
        first.wait_event("listening")
        with running("services.dit", *MODEL, "--bind", f"127.0.0.1:{port}") as second:
            assert second.wait_exit() == 78
            assert f"--bind 127.0.0.1:{port}: cannot listen there" in second.tail()


@pytest.mark.parametrize(
    "flags",
    [
        ("--dtype", "float16"),
        ("--device", "cuda:9"),
        ("--transport", "carrier-pigeon"),
        ("--threads", "-1"),
        ("--kv-pool-tokens", "0"),
    ],
)
def test_a_wrong_flag_is_one_clear_message(flags: tuple[str, str]) -> None:
    with running("services.dit", *MODEL, *flags) as process:
        assert process.wait_exit() == 78
        assert flags[0] in process.tail() or flags[1] in process.tail()
