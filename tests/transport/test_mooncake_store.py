"""Mooncake's store with real servers and a holder in another process: what is found, and what is not any more."""

import gc
import json
import os
import random
import re
import secrets
import signal
import socket
import threading
import time
import urllib.parse
import urllib.request
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bagel.errors import ConfigError
from tests.polling import BREATH_S
from tests.ports import free_port
from tests.processes import Process
from tests.transport.descriptors import open_files
from tests.transport.mooncake_holder import HolderProcess, Published, holder_process
from tests.transport.mooncake_reader import PAGE_BYTES, PAGES, Midway, Reader
from tests.transport.store_servers import Servers, store_servers
from transport.errors import (
    LeaseEndedError,
    PeerLostError,
    StaleEpochError,
    TransferCancelledError,
    TransferCorruptError,
    TransferRefusedError,
    TransferTimeoutError,
)
from transport.holder import Holder
from transport.mooncake_install import load
from transport.mooncake_store import BUFFER_BYTES, MooncakeStorePlane
from transport.mooncake_store_address import StoreAddress
from transport.mooncake_store_client import Native, StoreClient, StoreSettings
from transport.mooncake_store_name import free_name
from transport.pool import Pool

MOONCAKES_NUMBERS = range(12_300, 14_301)  # which its clients choose from by themselves


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with store_servers() as started:
        yield started


@pytest.fixture(scope="module")
def holder(servers: Servers) -> Iterator[HolderProcess]:
    with holder_process(pages=PAGES, page_bytes=PAGE_BYTES, store=servers[1:]) as running_holder:
        yield running_holder


@pytest.fixture(scope="module")
def reader(servers: Servers) -> Iterator[Reader]:
    opened = _reader(servers)
    yield opened
    opened.plane.close()


def test_published_pages_are_found_and_land_where_they_are_to(reader: Reader, holder: HolderProcess) -> None:
    for pages, places in (
        (list(range(PAGES)), list(range(PAGES))),
        (random.Random(1).sample(range(PAGES), 20), random.Random(2).sample(range(PAGES), 20)),
        ([63], [0]),
    ):
        reader.wipe()
        what = holder.publish(pages)
        report = reader.fetch(reader.request(holder, what, places))
        assert (report.pages, report.num_bytes) == (len(pages), len(pages) * PAGE_BYTES)
        reader.check(holder, what, places)
    assert reader.plane.unreachable(holder.address) is None


def test_a_page_that_was_given_back_is_gone_and_its_next_publication_is_another(
    reader: Reader, holder: HolderProcess
) -> None:
    holder.release()
    before = holder.publish([5, 6], handle="before")
    holder.release("before")
    after = holder.publish([6], handle="after")
    reader.fetch(reader.request(holder, after))
    started = time.monotonic()
    with pytest.raises(LeaseEndedError, match="page 5 is not in Mooncake's store"):
        reader.fetch(reader.request(holder, before))
    assert time.monotonic() - started < 4.0  # a page of which nothing is known is waited for longer
    holder.release("after")


def test_what_does_not_fit_or_is_of_another_life_is_refused(reader: Reader, holder: HolderProcess) -> None:
    holder.release()
    what = holder.publish([1, 2, 3])
    request = reader.request(holder, what)
    with pytest.raises(StaleEpochError):
        reader.fetch(replace(request, epoch=6))
    with pytest.raises(TransferRefusedError, match="beyond the holder's 64 pages"):
        reader.fetch(reader.request(holder, Published([PAGES], [1], [1])))
    with pytest.raises(TransferRefusedError, match="0 generations for 3 pages"):
        reader.fetch(replace(request, generations=[]))
    with pytest.raises(TransferCorruptError, match="page 1 "):
        reader.fetch(replace(request, digests=[what.digests[0], 7, what.digests[2]]))
    with pytest.raises(TransferCorruptError, match=f"has {PAGE_BYTES} B, not {PAGE_BYTES // 2}"):
        reader.fetch(replace(request, page_bytes=PAGE_BYTES // 2))
    with pytest.raises(TransferRefusedError, match="no address of a holder in Mooncake's store"):
        reader.fetch(replace(request, address="tcp://127.0.0.1:5"))


def test_a_page_that_never_comes_ends_with_the_deadline_or_the_cancellation(
    reader: Reader, holder: HolderProcess
) -> None:
    never = Published([9], [10**9], [0])
    started = time.monotonic()
    with pytest.raises(TransferTimeoutError):
        reader.fetch(reader.request(holder, never, within_s=0.3))

    class Soon(Midway):
        def is_set(self) -> bool:
            return time.monotonic() > started + 0.6

    with pytest.raises(TransferCancelledError):
        reader.fetch(reader.request(holder, never), Soon(reader, lambda: None))
    assert time.monotonic() - started < 4.0


def test_a_stopped_holder_is_given_up_within_5_s_and_others_are_read_meanwhile(servers: Servers) -> None:
    reader = _reader(servers)
    with holder_process(store=servers[1:]) as stopped, holder_process(store=servers[1:]) as other:
        what, more = stopped.publish(range(8)), other.publish(range(8, 16))
        reader.fetch(reader.request(stopped, what))
        stopped.send(signal.SIGSTOP)
        reader.wipe()
        started = time.monotonic()
        with pytest.raises(PeerLostError) as lost:
            reader.fetch(reader.request(stopped, what))
        assert time.monotonic() - started < 5.0
        assert lost.value.settled is None
        assert reader.untouched()
        assert reader.fetch(reader.request(other, more)).pages == 8
        reader.check(other, more)
    reader.plane.close()


def test_a_killed_holder_s_pages_are_lost_and_its_next_life_is_read(servers: Servers) -> None:
    reader = _reader(servers)
    with holder_process(store=servers[1:]) as first:
        what = first.publish(range(8))
        reader.fetch(reader.request(first, what))
        first.kill()
        with pytest.raises((PeerLostError, LeaseEndedError)):
            reader.fetch(reader.request(first, what))
        with holder_process(store=servers[1:], epoch=8) as second:
            what = second.publish(range(8))
            reader.wipe()
            reader.fetch(reader.request(second, what))
            reader.check(second, what)
    reader.plane.close()


def test_a_lost_holder_takes_no_transfer_from_another_with_it(servers: Servers) -> None:
    # So little memory that a transfer takes several looks, between which its client is replaced.
    reader = _reader(servers, buffer_bytes=PAGES * PAGE_BYTES)
    with holder_process(store=servers[1:]) as lost, holder_process(store=servers[1:]) as other:
        gone = reader.request(lost, lost.publish([0]), [PAGES - 1])
        lost.kill()

        def lose() -> None:
            assert isinstance(reader.failed(gone), (PeerLostError, LeaseEndedError))
            _eventually(lambda: not any(thread.name == "kv-mooncake-store-end" for thread in threading.enumerate()))

        what = other.publish(range(PAGES))
        reader.fetch(reader.request(other, what), Midway(reader, lose))
        reader.check(other, what)
    reader.plane.close()


def test_the_engine_waits_for_no_store_and_copies_follow_once_it_answers() -> None:
    with store_servers() as servers:
        master = _child(servers[0], "master")
        with holder_process(store=servers[1:]) as holder:
            reader = _reader(servers)
            reader.fetch(reader.request(holder, holder.publish([0])))
            os.kill(master, signal.SIGSTOP)
            started = time.monotonic()
            what = holder.publish(range(1, 9))
            assert time.monotonic() - started < 3.0  # a call to the store would wait for a minute
            started = time.monotonic()
            with pytest.raises(PeerLostError, match="did not answer within"):
                reader.fetch(reader.request(holder, what))
            assert time.monotonic() - started < 6.0
            os.kill(master, signal.SIGCONT)
            reader.wipe()
            _eventually(lambda: reader.fetch(reader.request(holder, what)))
            reader.check(holder, what)
            reader.plane.close()


def test_clients_that_ended_leave_no_memory_behind(servers: Servers) -> None:
    def come_and_go(count: int) -> int:
        """MiB of clients that were set up on a heap each."""
        clients, together = [_client(servers[1:]) for _ in range(count)], threading.Barrier(count)
        before = _rss_mib()

        def use(client: StoreClient) -> None:
            with client.used():
                together.wait(30.0)

        with ThreadPoolExecutor(count) as threads:
            list(threads.map(use, clients))
        taken = _rss_mib() - before
        for client in clients:
            client.end()
        _eventually(lambda: all(client._native is None for client in clients))  # closed by whoever left it last
        return taken

    come_and_go(1)  # the tables of the first lie outside of heaps
    before = _rss_mib()
    assert come_and_go(4) > 4 * 20
    _eventually(lambda: _rss_mib() < before + 40)  # the last one may still be held while it is closed


def test_a_call_that_failed_keeps_nothing_that_it_read(servers: Servers) -> None:
    read: list[weakref.ref[threading.Event]] = []
    client = _client(servers[1:])

    def fail(native: Native) -> None:
        page = threading.Event()  # or anything that can be watched
        read.append(weakref.ref(page))
        raise PeerLostError("gone")

    gc.disable()
    try:
        with pytest.raises(PeerLostError, match="gone"):
            client.call(fail, patience_s=30.0, left_s=lambda: 30.0)
        _eventually(lambda: read[0]() is None)
    finally:
        gc.enable()
        client.end()


def test_names_that_killed_clients_left_behind_keep_nobody_out_and_cost_nothing() -> None:
    with store_servers() as (_, master, metadata):
        for number in MOONCAKES_NUMBERS:
            _name_somebody(metadata, f"127.0.0.1:{number}")
        for _ in range(2):
            before = Counter(open_files())
            client = _client((master, metadata))
            assert client.call(lambda native: native.batch_is_exist(["-"]), patience_s=30.0, left_s=lambda: 30.0) == [0]
            client.end()
            left = (Counter(open_files()) - before).elements()
            assert not [one for one in left if one.endswith(" to nobody")]


def test_a_name_that_somebody_has_is_not_taken(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [2_001, 2_002, 2_003]
    monkeypatch.setattr(secrets, "choice", lambda _: numbers.pop(0))
    _name_somebody(servers[2], "127.0.0.1:2001")
    _name_somebody(servers[2], "[::1]:2002")
    assert free_name("127.0.0.1", servers[2]) == "127.0.0.1:2002"
    assert free_name("::1", servers[2]) == "[::1]:2003"
    assert free_name("127.0.0.1", "P2PHANDSHAKE") == "127.0.0.1"


def test_a_segment_that_is_smaller_than_the_pool_is_refused(servers: Servers) -> None:
    plane = MooncakeStorePlane(master=servers[1], metadata_server=servers[2], segment_bytes=1 << 20)
    pool = Pool(num_pages=32, page_bytes=PAGE_BYTES, epoch=1, device=torch.device("cpu"))
    with pytest.raises(ConfigError, match="raise `segment`"):
        Holder(pool, [plane])
    plane.close()


def test_a_master_that_is_not_there_is_named(reader: Reader) -> None:
    port = free_port()
    plane = MooncakeStorePlane(master=f"127.0.0.1:{port}", metadata_server="P2PHANDSHAKE")
    address = StoreAddress(f"127.0.0.1:{port}", "0" * 16, 1, 1, "P2PHANDSHAKE")
    assert StoreAddress.parse(str(address)) == address
    assert "Connection refused" in (plane.unreachable(str(address)) or "")
    plane.close()


def test_the_servers_listen_where_they_are_told_and_end_with_their_command() -> None:
    with store_servers() as (process, master, metadata):
        ports = {int(re.findall(r":(\d+)", where)[0]) for where in (master, metadata)}
        assert _listening(ports) == {"127.0.0.1"}
        children = [_child(process, name) for name in ("master", "metadata")]
        process.send(signal.SIGKILL)
        process.wait_exit()
        _eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def _reader(servers: Servers, buffer_bytes: int = BUFFER_BYTES) -> Reader:
    plane = MooncakeStorePlane(master=servers[1], metadata_server=servers[2], buffer_bytes=buffer_bytes)
    return Reader(PAGES * PAGE_BYTES, plane)


def _name_somebody(metadata: str, name: str) -> None:
    """Tell the metadata server of a client."""
    query = urllib.parse.urlencode({"key": f"mooncake/rpc_meta/{name}"})
    told = json.dumps({"ip_or_host_name": "127.0.0.1", "rpc_port": 1}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{metadata}?{query}", told, method="PUT"), timeout=10.0).close()


def _client(servers: tuple[str, str]) -> StoreClient:
    """Of a master and a metadata server."""
    settings = StoreSettings(
        host="127.0.0.1", master=servers[0], metadata_server=servers[1], protocol="tcp", device="", segment_bytes=0,
        buffer_bytes=1 << 20,
    )  # fmt: skip
    return StoreClient(load("store"), settings)


def _rss_mib() -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0]) // 1024


def _child(process: Process, name: str) -> int:
    """Process id of one of the command's servers."""
    started = [json.loads(line) for line in process.lines if '"started"' in line]
    return next(int(event["pid"]) for event in started if event["child"] == name)


def _listening(ports: set[int]) -> set[str]:
    """Addresses at which somebody listens on these ports."""
    found = set()
    for line in [line for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]:
        address, port = line.split()[1].split(":")
        if line.split()[3] == "0A" and int(port, 16) in ports:
            found.add(socket.inet_ntop(socket.AF_INET, bytes.fromhex(address)[::-1]) if len(address) == 8 else address)
    return found


def _eventually(done: Callable[[], object]) -> None:
    """Until it says yes, or does not fail."""
    deadline_s = time.monotonic() + 30.0
    while True:
        try:
            if done():
                return
        except (PeerLostError, LeaseEndedError):
            pass
        assert time.monotonic() < deadline_s
        time.sleep(BREATH_S)
