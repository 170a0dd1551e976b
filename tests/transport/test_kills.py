"""Kill rounds, shortened: one of every strike. `make chaos` is the long run, over ipc and Mooncake's store as well."""

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.rig import Sizes
from tests.chaos.transport_kills import run, strikes_of
from tests.transport.kinds import ACROSS_PROCESSES
from tests.transport.pair import PAGE_BYTES, PAGES, open_pair
from tests.transport.peers import peer_process
from transport.errors import TransportError

SIZES = Sizes(pages=73, page_bytes=896 << 10)  # 64 MiB
KINDS = ("shm", "zeromq-tcp", "mooncake")
WAITING = 3


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_survives_a_kill_in_mid_transfer_knows_it_in_time_and_serves_the_next(
    kind: str, tmp_path: Path
) -> None:
    rounds, seed = len(strikes_of(kind)), secrets.randbelow(1 << 32)
    report = run(kind, tmp_path, SIZES, rounds, seed, print)

    assert not report.violations, f"seed {seed}: {report.violations}"
    assert {one.strike for one in report.rounds} == set(strikes_of(kind))


@pytest.mark.parametrize("kind", ACROSS_PROCESSES)
def test_a_stopped_holder_holds_up_nobody_who_reads_from_another(kind: str, tmp_path: Path) -> None:
    with peer_process() as stopped, open_pair(kind, tmp_path) as pair, ThreadPoolExecutor(WAITING) as threads:
        _, address = stopped.do(
            "serve", name="pool", kind=kind, folder=str(tmp_path), pages=PAGES, page_bytes=PAGE_BYTES, epoch=1
        )
        token = bytes.fromhex(stopped.do("grant", name="pool", handle="h", seconds=60))
        request = pair.published([1, 2, 3])
        stopped.pause()
        lost = replace(pair.published([4]), address=address, epoch=1, token=token)
        cancelled = threading.Event()
        waiting = [threads.submit(pair.reader.fetch, lost, cancelled) for _ in range(WAITING)]
        started = time.monotonic()
        assert pair.fetch(request).pages == 3
        assert time.monotonic() - started < 2.0  # the stopped one is given up later
        assert not any(one.done() for one in waiting)
        cancelled.set()
        assert all(isinstance(one.exception(timeout=10), TransportError) for one in waiting)
