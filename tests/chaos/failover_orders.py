"""Every start order of gateway, Thinker, DiT and DiT, the registry first or last: ready soon after the last load."""

import itertools
import time
from contextlib import ExitStack

import httpx

from tests.polling import BREATH_S
from tests.ports import free_port
from tests.processes import Process

READY_S = 3.0
FLAGS = (
    "--model", "tests/golden/checkpoint", "--threads", "1", "--kv-pool-tokens", "2048", "--plain-progress",
    "--log-format", "json",
)  # fmt: skip
PARTS = ("gateway", "thinker", "dit", "dit-1")


def check_orders(count: int) -> list[str]:
    """So many of the 24; what was violated."""
    violations, slowest_s = [], 0.0
    orders = list(itertools.permutations(PARTS))[:: max(1, 24 // count)][:count]
    for number, order in enumerate(orders):
        seconds = start_in(order, registry_first=number % 2 == 0)
        slowest_s = max(slowest_s, seconds)
        if seconds > READY_S:
            violations.append(f"orders: {' '.join(order)} was ready {seconds:.1f} s after the last load")
    print(f"{len(orders)} start orders: ready at most {slowest_s:.2f} s after the last model was loaded", flush=True)
    return violations


def start_in(order: tuple[str, ...], *, registry_first: bool) -> float:
    """Start each when the one before it listens; seconds from the last loaded model until the gateway has all."""
    port, master = free_port(), f"127.0.0.1:{free_port()}"
    flags = {
        "registry": ("services.registry", "--bind", master, "--log-format", "json"),
        "gateway": ("services.gateway", "--port", str(port), "--master", master, "--log-format", "json"),
        **{name: (f"services.{name.partition('-')[0]}", "--master", master, "--worker-id", name, *FLAGS)
           for name in PARTS[1:]},
    }  # fmt: skip
    whole = ("registry", *order) if registry_first else (*order, "registry")
    with ExitStack() as stack:
        started: dict[str, Process] = {}
        for name in whole:
            started[name] = Process(*flags[name])
            stack.callback(started[name].stop)
            started[name].wait_event("starting" if name == "gateway" else "listening")
        for name in PARTS[1:]:
            started[name].wait_event("ready")
        loaded = time.monotonic()
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5, transport=transport) as http:
            while True:
                stages = http.get("/readyz").json()["stages"]
                if [stage["state"] for stage in stages].count("ready") == len(PARTS) - 1:
                    return time.monotonic() - loaded
                time.sleep(BREATH_S)
                if time.monotonic() - loaded > 10 * READY_S:
                    raise AssertionError(f"{whole}: only {stages}\n{started['gateway'].tail()}")
