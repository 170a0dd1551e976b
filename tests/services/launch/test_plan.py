"""Which processes `bagel serve` starts, with which arguments."""

from pathlib import Path

import pytest

from services.launch.plan import ServeOptions, plan_children


def metrics_binds(options: ServeOptions) -> dict[str, str | None]:
    """Where each process is told to serve its figures."""
    return {
        child.name: child.command[child.command.index("--metrics-bind") + 1]
        if "--metrics-bind" in child.command
        else None
        for child in plan_children(options, Path("/run/bagel"))
    }


def test_stages_serve_no_figures_unless_asked_to() -> None:
    assert metrics_binds(ServeOptions()) == {"thinker": None, "dit": None, "gateway": None}


@pytest.mark.parametrize(
    ("host", "port", "thinker", "dit"),
    [
        ("127.0.0.1", 9464, "127.0.0.1:9464", "127.0.0.1:9465"),
        ("::1", 9464, "[::1]:9464", "[::1]:9465"),
        ("0.0.0.0", 0, "0.0.0.0:0", "0.0.0.0:0"),
    ],
)
def test_stages_serve_their_figures_on_neighbouring_ports(host: str, port: int, thinker: str, dit: str) -> None:
    binds = metrics_binds(ServeOptions(host=host, metrics_port=port))
    assert binds == {"thinker": thinker, "dit": dit, "gateway": None}
