"""Mooncake's Transfer Engine between real processes: what lands, what is refused, and what keeps it from starting."""

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from bagel.errors import ConfigError
from tests.ports import free_port
from tests.processes import ROOT
from tests.transport.mooncake_holder import HolderProcess, Published, holder_process
from tests.transport.mooncake_reader import PAGE_BYTES, PAGES, Reader
from transport.base import Region
from transport.errors import LeaseEndedError, StaleEpochError, TransferRefusedError
from transport.mooncake import MooncakePlane
from transport.mooncake_environment import HARMFUL
from transport.mooncake_install import EXTRAS, check_distributions
from transport.mooncake_peer import Address, describe


@pytest.fixture(scope="module")
def holder() -> Iterator[HolderProcess]:
    """A holder that no test harms."""
    with holder_process(pages=PAGES, page_bytes=PAGE_BYTES) as running:
        yield running


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    opened = Reader(PAGES * PAGE_BYTES)
    yield opened
    opened.plane.close()


def test_scattered_pages_and_runs_land_where_they_are_to(reader: Reader, holder: HolderProcess) -> None:
    for pages, places in (
        (list(range(PAGES)), list(range(PAGES))),
        (random.Random(1).sample(range(PAGES), 20), random.Random(2).sample(range(PAGES), 20)),
        ([3, 4, 5, 9, 60, 61], [10, 11, 12, 13, 0, 1]),
        ([63], [63]),
    ):
        reader.wipe()
        what = holder.publish(pages)
        report = reader.fetch(reader.request(holder, what, places))
        assert (report.pages, report.num_bytes) == (len(pages), len(pages) * PAGE_BYTES)
        reader.check(holder, what, places)


def test_more_slices_than_the_engine_takes_at_once_all_land() -> None:
    pages = list(range(2600))[::-1]  # no two neighbours
    reader = Reader(len(pages) * 4096)
    with holder_process(pages=len(pages), page_bytes=4096) as many:
        what = many.publish(pages)
        reader.fetch(reader.request(many, what))
        reader.check(many, what)
    reader.plane.close()


def test_two_transfers_from_one_holder_at_once_and_two_holders_do_not_meet(
    reader: Reader, holder: HolderProcess
) -> None:
    first, second = holder.publish(range(20)), holder.publish(range(20, 40))
    with holder_process(pages=PAGES, page_bytes=PAGE_BYTES) as other:
        third = other.publish(range(40, 64))
        reader.wipe()
        requests = [
            reader.request(holder, first, range(20)),
            reader.request(holder, second, range(20, 40)),
            reader.request(other, third, range(40, 64)),
        ]
        threads = [threading.Thread(target=reader.fetch, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reader.check(holder, Published(list(range(64)), [], []))


def test_a_page_beyond_the_pool_is_refused_before_the_engine_is_asked(reader: Reader, holder: HolderProcess) -> None:
    with pytest.raises(TransferRefusedError, match="page 64 lies beyond the holder's 64 pages"):
        reader.fetch(reader.request(holder, Published([PAGES], [1], [0]), [0]))


def test_landing_memory_that_was_not_prepared_is_refused(reader: Reader, holder: HolderProcess) -> None:
    request = reader.request(holder, holder.publish([1]))
    elsewhere = replace(request, into=Region(torch.zeros(PAGE_BYTES, dtype=torch.uint8)))
    with pytest.raises(TransferRefusedError, match="call prepare first"):
        reader.fetch(elsewhere)


def test_an_older_epoch_and_a_page_given_back_are_noticed_without_the_holder_s_help(
    reader: Reader, holder: HolderProcess
) -> None:
    holder.release()
    what = holder.publish([5, 6], handle="soon-over")
    request = reader.request(holder, what)
    older = replace(request, epoch=6)
    with pytest.raises(StaleEpochError):
        reader.fetch(older)
    holder.release("soon-over")
    for generations in (what.generations, []):
        with pytest.raises(LeaseEndedError):
            reader.fetch(reader.request(holder, Published(what.pages, generations, what.digests)))
    again = holder.publish([5, 6], handle="again")
    with pytest.raises(LeaseEndedError):
        reader.fetch(reader.request(holder, Published(what.pages, what.generations, what.digests)))
    assert reader.fetch(reader.request(holder, again)).pages == 2
    holder.release("again")


def test_why_a_holder_cannot_be_reached_is_told(reader: Reader, holder: HolderProcess) -> None:
    def why(address: Address | str) -> str:
        return reader.plane.unreachable(str(address)) or "it can"

    here = Address.parse(holder.address)
    said = describe(here.host, here.port, timeout_s=2.0)
    assert said.protocol == "tcp"
    assert said.data is not None
    assert why(here) == "it can"
    assert "refused" in why(Address("tcp", "127.0.0.1", free_port(), here.base, PAGES))
    assert "another engine lives there now" in why(Address("tcp", here.host, here.port, here.base + 8, PAGES))
    assert "speaks rdma, this process tcp" in why(Address("rdma", here.host, here.port, here.base, PAGES))
    assert "one IP family" in why(Address("tcp", "::1", here.port, here.base, PAGES))
    assert "no address of a Mooncake holder" in why("tcp://127.0.0.1:5/zz/4")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert "no answer in time" in why(Address("tcp", "127.0.0.1", silent.getsockname()[1], here.base, PAGES))
        assert time.monotonic() - started < 10.0  # Mooncake itself would wait for a minute


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "[::]", "*"])
def test_a_host_that_is_nobody_s_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="give the address that the other hosts reach this one at"):
        MooncakePlane(host)


def test_rdma_without_a_device_fails_loudly() -> None:
    with pytest.raises(ConfigError, match="Mooncake is to speak rdma, but no_such_device0 is missing"):
        MooncakePlane(protocol="rdma", device="no_such_device0")


@pytest.mark.parametrize("name", [*HARMFUL, "MC_FORCE_HCA", "MC_USE_IPV6"])
def test_knobs_that_break_a_promise_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"{name} is set"):
        MooncakePlane()


def test_exactly_one_mooncake_may_be_installed() -> None:
    check_distributions({next(iter(EXTRAS))})
    with pytest.raises(ConfigError, match="not installed: pip install one of"):
        check_distributions(set())
    with pytest.raises(ConfigError, match="pip uninstall -y mooncake-transfer-engine mooncake-transfer-engine-cuda13"):
        check_distributions({"mooncake-transfer-engine", "mooncake-transfer-engine-cuda13"})
    with pytest.raises(ConfigError, match="pip uninstall -y mooncake,"):
        check_distributions({"mooncake"})


def test_pages_travel_between_ipv6_addresses() -> None:
    # One process speaks one family, so the reader is another process as well.
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"this host has no IPv6: {error}")
    with holder_process(host="::1") as holder:
        what = holder.publish([2, 3])
        assert holder.address.startswith("tcp://[::1]:")
        script = f"""
import threading, time, torch
from transport.base import FetchRequest, PageCopy, Region
from transport.mooncake import MooncakePlane
reader, into = MooncakePlane("[::1]"), Region(torch.zeros(2 * 65_536, dtype=torch.uint8))
reader.prepare(into)
reader.fetch(FetchRequest(address={holder.address!r}, epoch=7, token=b"", copies=[PageCopy(2, 0, 2)],
    digests={what.digests}, generations={what.generations}, page_bytes=65_536, into=into,
    deadline_s=time.monotonic() + 10), threading.Event())
reader.close()
print(int(into.tensor.view(torch.int64)[-1]))
"""
        landed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert landed.stdout.split() == [str(4 * 65_536 // 8 - 1)], landed.stderr
