"""Between two hosts, each a network namespace: pages cross, silence is noticed, shared memory is passed over."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.transport.kinds import NETWORK
from tests.transport.namespaces import FAMILIES, FAR, NEAR, Hosts, NotPermittedError, two_hosts
from tests.transport.peers import PeerProcess

PAGES, PAGE_BYTES, EPOCH = 64, 1 << 20, 5
TIMES = 4  # every page so often in a transfer that is to be met on its way
SECONDS = 30.0
SILENT_S = 5.0  # until a holder out of reach is lost


@pytest.fixture(params=FAMILIES)
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(two_hosts(request.param))
        except NotPermittedError as reason:
            pytest.skip(f"no two hosts over {request.param} on this machine: {reason}")
        yield opened


def _served(hosts: Hosts, kind: str, folder: Path) -> tuple[list[int], dict[str, Any]]:
    """A holder on one host, landing memory on the other; pages, and the request that fetches 64 MiB."""
    holder, reader = hosts.peers
    _, address = holder.do(
        "serve", name=kind, kind=kind, folder=str(folder), pages=PAGES, page_bytes=PAGE_BYTES, epoch=EPOCH,
        host=hosts.addresses[NEAR],
    )  # fmt: skip
    reader.do(
        "read", name=kind, kind=kind, folder=str(folder), places=TIMES * PAGES, page_bytes=PAGE_BYTES,
        host=hosts.addresses[FAR],
    )  # fmt: skip
    pages = list(reversed(range(PAGES)))
    generations, digests = holder.do("publish", name=kind, handle="h", pages=pages)
    return pages, {
        "address": address, "epoch": EPOCH, "token": holder.do("grant", name=kind, handle="h", seconds=SECONDS),
        "digests": digests, "generations": generations, "page_bytes": PAGE_BYTES, "seconds": SECONDS,
    }  # fmt: skip


@pytest.mark.parametrize("kind", NETWORK)
def test_pages_cross_from_host_to_host_byte_for_byte(hosts: Hosts, kind: str, tmp_path: Path) -> None:
    reader = hosts.peers[FAR]
    pages, request = _served(hosts, kind, tmp_path)
    assert hosts.addresses[NEAR] in request["address"]
    places = reader.do("pull", name=kind, fetch="f", pages=pages, request=request)
    outcome = reader.do("join", fetch="f")

    assert (outcome["error"], outcome.get("bytes")) == (None, PAGES * PAGE_BYTES), outcome
    assert reader.do("landed", name=kind, places=places, page_bytes=PAGE_BYTES) == request["digests"]


@pytest.mark.parametrize("kind", NETWORK)
def test_a_holder_that_packets_do_not_reach_any_more_is_lost(hosts: Hosts, kind: str, tmp_path: Path) -> None:
    holder, reader = hosts.peers
    pages, request = _served(hosts, kind, tmp_path)
    longer = request | {name: request[name] * TIMES for name in ("digests", "generations")}
    reader.do("pull", name=kind, fetch="midway", pages=pages * TIMES, request=longer)
    # The reader itself stops the holder, for as long as it takes to pull the plug: the way over here takes too long.
    reader.do("reached", fetch="midway", landed=1, pid=holder.pid, signum=signal.SIGSTOP)
    holder.pause()
    hosts.unplug()
    holder.send(signal.SIGCONT)
    _check_lost(reader, "midway")
    assert reader.do("settle", seconds=SECONDS)
    reader.do("give_back", fetch="midway")

    reader.do("pull", name=kind, fetch="from the start", pages=pages, request=request)
    _check_lost(reader, "from the start")


def _check_lost(reader: PeerProcess, fetch: str) -> None:
    started = time.monotonic()
    outcome = reader.do("join", fetch=fetch)
    assert outcome["error"] in ("PeerLostError", "TransferTimeoutError"), outcome
    assert time.monotonic() - started < SILENT_S


def test_shared_memory_of_another_host_is_passed_over_with_a_warning(hosts: Hosts, tmp_path: Path) -> None:
    (_, unnamed), (_, network) = (_served(hosts, kind, tmp_path) for kind in ("shm-unnamed", "zeromq-tcp"))
    endpoints = [["shm", unnamed["address"], False], ["zeromq", network["address"], True]]
    arguments = {"kinds": ["shm-unnamed", "zeromq-tcp"], "folder": str(tmp_path), "endpoints": endpoints}
    there, here = hosts.peers[FAR].do("choose", **arguments), hosts.peers[NEAR].do("choose", **arguments)

    assert there["transport"] == "zeromq"
    assert [log["log_level"] for log in there["logs"]] == ["warning"]
    (reason,) = there["logs"][0]["skipped"]
    assert unnamed["address"] in reason
    assert "of another host or container" in reason
    assert here["transport"] == "shm"
    assert [log["log_level"] for log in here["logs"]] == ["info"]
