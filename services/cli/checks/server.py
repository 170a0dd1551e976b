"""Whether a server can be reached, is ready, and what it serves. Talks to nobody else."""

from collections.abc import Iterator
from typing import Any

import httpx

from bagel import __version__
from services.cli.checks.findings import Finding, Level, fail, ok, size, warn
from services.cli.checks.machine import check_port
from services.cli.client.gateway import Gateway, connect, is_loopback
from services.cli.errors import CommandError
from services.cli.options import Connection


def check_server(connection: Connection, *, expected: bool) -> Iterator[Finding]:
    """A server; one that nobody named may be away. Raises CommandError for an address that is none."""
    with connect(connection) as gateway:
        try:
            version = gateway.get("/livez").get("version")
        except CommandError as error:
            yield from _away(gateway, str(error), expected=expected)
            return
        if version == __version__:
            yield ok("server", f"{gateway.url}, {version}")
        else:
            cure = "install the same version on both sides if a request is refused"
            yield warn("server", f"{gateway.url} has version {version}, this is {__version__}", cure)
        try:
            yield from _stages(gateway)
            yield from _models(gateway)
        except (CommandError, KeyError, TypeError) as error:
            yield fail("server", f"answers what bagel-serve does not ({error})", "is it the right address?")


def _away(gateway: Gateway, problem: str, *, expected: bool) -> Iterator[Finding]:
    url = httpx.URL(gateway.url)
    found, _, cure = problem.partition("; ")
    yield Finding(Level.FAIL if expected else Level.WARN, "server", found, cure)
    if is_loopback(url.host):
        host = "127.0.0.1" if url.host == "localhost" else url.host
        yield check_port(host, url.port or (443 if url.scheme == "https" else 80))


def _stages(gateway: Gateway) -> Iterator[Finding]:
    ready = gateway.get("/readyz", accept=(200, 503))
    for stage in ready["stages"]:
        yield _stage(stage)
    if not ready["ready"]:
        cure = "wait while it loads; else its log says why a stage is away"
        yield fail("ready", "no: " + "; ".join(ready["reasons"]), cure)


def _stage(stage: dict[str, Any]) -> Finding:
    found = f"{stage['state']} at {stage['address']}"
    if stage["state"] != "ready":
        return warn(stage["stage"], f"{found}: {stage['detail']}", "see `ready`")
    pages = f"{stage['free_pages']} of {stage['total_pages']} pages free"
    work = f"{stage['running']} running, {stage['queued']} waiting"
    device = f"{stage['device']} {stage['dtype']}"
    if stage["peak_memory_bytes"]:  # of a GPU
        device += f", {size(stage['peak_memory_bytes'])} at most so far"
    return ok(stage["stage"], f"{found}, {device}, {pages}, {work}")


def _models(gateway: Gateway) -> Iterator[Finding]:
    if gateway.get("/readyz", accept=(200, 503))["ready"]:
        for model in gateway.get("/v1/models")["data"]:
            limits = model["limits"]
            sides = f"pictures of {limits['default_side_px']} px a side, up to {limits['max_side_px']}"
            yield ok("model served", f"{model['id']}: {sides}, {limits['max_context_tokens']} tokens of context")
