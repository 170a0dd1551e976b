"""The dashboard and its page ask for what the three processes export, by names and labels."""

import json
import re
from typing import Any

import pytest

from tests.e2e.server import Server, picture, scene, text, user
from tests.processes import ROOT

SERVICES = ("gateway", "thinker", "dit")
SMALL: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 3}
# Prometheus adds these to what it reads.
ADDED = {"instance", "job"}


def queries() -> list[str]:
    dashboard = json.loads((ROOT / "deploy/grafana/bagel.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


@pytest.fixture
def samples(server: Server) -> dict[str, set[str]]:
    """Labels by name of every sample, once a picture and a text were made."""
    server.answer(**SMALL, messages=user(picture(scene(90, 60)), text("Red")), think=True, max_think_tokens=3)
    server.answer(messages=user("Hi"), max_tokens=3)
    found: dict[str, set[str]] = {}
    for sample in (name for service in SERVICES for name in server.figures(service)):
        name, _, labels = sample.partition("{")
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_every_query_asks_for_names_and_labels_that_are_exported(samples: dict[str, set[str]]) -> None:
    assert len(queries()) > 30
    for query in queries():
        names = re.findall(r"\bbagel_\w+", query)
        # Without replicas and ZeroMQ nothing has moved here yet: its name is there, without a sample.
        missing = [n for n in names if n not in samples and not n.startswith("bagel_dit_transfer_overlap_ratio")]
        assert names, query
        assert not missing, query
        known = set().union(*(samples.get(name, {"transport", "le"}) for name in names), ADDED)
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
        chosen = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query))
        assert grouped | chosen <= known, query


def test_the_page_lists_every_exported_name_and_no_other(server: Server) -> None:
    page = (ROOT / "docs/observability.md").read_text()
    exported = set()
    for service in SERVICES:
        at = "/metrics" if service == "gateway" else f"http://{server.metrics[service]}/metrics"
        exported |= set(re.findall(r"^# TYPE (\S+)", server.http.get(at).text, re.MULTILINE))
    exported = {name for name in exported if not name.endswith("_created")}
    listed = set(re.findall(r"^\| `(bagel_\w+)`", page, re.MULTILINE))
    assert listed == exported


def test_stages_names_end_in_their_units(server: Server) -> None:
    units = {
        "counter": ("_total",), "histogram": ("_seconds", "_ratio"),
        "gauge": ("_requests", "_pages", "_leases", "_grants", "_bytes"),
    }  # fmt: skip
    for stage in ("thinker", "dit"):
        body = server.http.get(f"http://{server.metrics[stage]}/metrics").text
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", body, re.MULTILINE):
            if not name.endswith("_created"):
                assert name.startswith(f"bagel_{stage}_"), name
                assert name.endswith(units[kind]), name
