"""A process that holds or reads pages, driven line by line: JSON commands on stdin, JSON answers on stdout.

python -m tests.transport.peer
"""

import json
import os
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch
import xxhash
from structlog.testing import capture_logs

from tests.transport.descriptors import open_files
from tests.transport.kinds import LOOPBACK, open_reader, open_server
from tests.transport.watched_landing import CANARY, WatchedLanding
from transport.base import DataPlane, Endpoint, FetchRequest, PageCopy, page_copies
from transport.errors import TransportError
from transport.holder import Holder
from transport.planes import Planes
from transport.pool import Pool
from transport.reading import host_view

CPU = torch.device("cpu")
LOOK_S = 0.0002  # between two looks at a fetch's progress


class Peer:
    """Everything that one process holds or reads."""

    def __init__(self) -> None:
        self.holders: dict[str, Holder] = {}
        self.readers: dict[str, DataPlane] = {}
        self.landings: dict[str, WatchedLanding] = {}
        self.running: dict[str, tuple[Future[Any], threading.Event]] = {}
        self.pulled: dict[str, tuple[str, list[int]]] = {}  # reader and places of a fetch that chose its own
        self.unsettled: list[tuple[str, threading.Event]] = []  # of fetches that failed
        self.threads = ThreadPoolExecutor(8)

    # Holder

    def serve(
        self, name: str, kind: str, folder: str, pages: int, page_bytes: int, epoch: int, host: str = LOOPBACK
    ) -> list[str]:
        """A pool whose pages all differ, served; its endpoint's transport and address."""
        pool = Pool(num_pages=pages, page_bytes=page_bytes, epoch=epoch, device=CPU)
        self.holders[name] = Holder(pool, [open_server(kind, folder, host)])
        for page in range(pages):
            self.fill(name, page, page + 1)
        endpoint = self.holders[name].endpoints[0]
        return [endpoint.transport, endpoint.address]

    def fill(self, name: str, page: int, value: int) -> None:
        size = self.holders[name].page_bytes
        whole = self.holders[name].pool.host[page * size : (page + 1) * size]
        whole[: size // 4 * 4].view(torch.int32).copy_(torch.arange(size // 4, dtype=torch.int32) * 31 + value)

    def flip(self, name: str, page: int) -> None:
        size = self.holders[name].page_bytes
        self.holders[name].pool.host[page * size + size // 2] ^= 1

    def publish(self, name: str, handle: str, pages: list[int]) -> list[list[int]]:
        """Generations and digests."""
        generations = self.holders[name].publish(handle, pages)
        return [generations, self.holders[name].digests(pages, generations)]

    def grant(self, name: str, handle: str, seconds: float) -> str:
        return self.holders[name].open_grant(handle, until_s=time.monotonic() + seconds).hex()

    def renew(self, name: str, token: str, seconds: float) -> None:
        self.holders[name].renew(bytes.fromhex(token), until_s=time.monotonic() + seconds)

    def close_grant(self, name: str, token: str) -> None:
        self.holders[name].close_grant(bytes.fromhex(token))

    def release(self, name: str, handle: str) -> None:
        self.holders[name].release(handle)

    def published(self, name: str) -> int:
        """Pages that some handle holds."""
        return int((self.holders[name].pool.generations > 0).sum())

    # Reader

    def read(self, name: str, kind: str, folder: str, places: int, page_bytes: int, host: str = LOOPBACK) -> None:
        """A plane to read with, and its landing memory."""
        self.readers[name] = open_reader(kind, folder, host)
        self.landings[name] = WatchedLanding(places, page_bytes)
        self.readers[name].prepare(self.landings[name].region)

    def choose(self, kinds: list[str], folder: str, endpoints: list[list[Any]]) -> dict[str, Any]:
        """Which of a holder's endpoints a process with these planes takes, and what it logs then."""
        planes = Planes([open_reader(kind, folder) for kind in kinds])
        with capture_logs() as logs:
            _, endpoint = planes.choose([Endpoint(*fields) for fields in endpoints])
        planes.close()
        return {"transport": endpoint.transport, "logs": logs}

    def start(self, name: str, fetch: str, request: dict[str, Any]) -> None:
        """Start a fetch in a thread."""
        cancelled = threading.Event()
        seconds = request.pop("seconds")
        asked = FetchRequest(
            address=request["address"],
            epoch=request["epoch"],
            token=bytes.fromhex(request["token"]),
            copies=[PageCopy(*copy) for copy in request["copies"]],
            digests=request["digests"],
            generations=request["generations"],
            page_bytes=request["page_bytes"],
            into=self.landings[name].region,
            deadline_s=time.monotonic() + seconds,
        )
        self.running[fetch] = self.threads.submit(self._fetch, name, fetch, asked, cancelled), cancelled

    def pull(self, name: str, fetch: str, pages: list[int], request: dict[str, Any]) -> list[int] | None:
        """As `start`, to places that landing memory gives out: which; None, and nothing starts, when it is full."""
        places = self.landings[name].reserve(len(pages))
        if places is not None:
            copies = [[copy.page, copy.place, copy.count] for copy in page_copies(pages, places)]
            self.pulled[fetch] = name, places
            self.start(name, fetch, request | {"copies": copies})
        return places

    def reached(self, fetch: str, landed: int, pid: int | None = None, signum: int = 0) -> list[float]:
        """Wait until so many pages of a pull have landed or it is over, and signal a process at once.

        When that was, and how many pages had landed then.
        """
        name, places = self.pulled[fetch]
        while self.landings[name].landed(places) < landed and not wait([self.running[fetch][0]], LOOK_S).done:
            pass
        if pid is not None:
            os.kill(pid, signum)
        return [time.monotonic(), self.landings[name].landed(places)]

    def give_back(self, fetch: str) -> None:
        """Places of a pull that was joined: free, or quarantined as long as it may write."""
        name, places = self.pulled.pop(fetch)
        self.landings[name].give_back(places, [settled for failed, settled in self.unsettled if failed == fetch])

    def landing(self, name: str) -> dict[str, Any]:
        """Places by what they are, and what was written that must not be."""
        return self.landings[name].state()

    def cancel(self, fetch: str) -> None:
        self.running[fetch][1].set()

    def join(self, fetch: str) -> dict[str, Any]:
        """The outcome of a fetch: `error` None or its class, and how long it took."""
        outcome: dict[str, Any] = self.running.pop(fetch)[0].result()
        return outcome

    def _fetch(self, name: str, fetch: str, request: FetchRequest, cancelled: threading.Event) -> dict[str, Any]:
        started = time.monotonic()
        try:
            report = self.readers[name].fetch(request, cancelled)
        except TransportError as error:
            if error.settled is not None:
                self.unsettled.append((fetch, error.settled))
            spent = time.monotonic() - started
            return {"error": type(error).__name__, "text": str(error), "settled": error.settled is None, "s": spent}
        return {"error": None, "pages": report.pages, "bytes": report.num_bytes, "s": time.monotonic() - started}

    def settle(self, seconds: float) -> bool:
        """Wait until no failed fetch may write any more."""
        deadline = time.monotonic() + seconds
        while self.unsettled:
            if not self.unsettled[0][1].wait(max(0.0, deadline - time.monotonic())):
                return False
            self.unsettled.pop(0)
        return True

    def landed(self, name: str, places: list[int], page_bytes: int) -> list[int]:
        """Digests of what lies on places."""
        memory = host_view(self.landings[name].region)
        return [xxhash.xxh3_64_intdigest(memory[p * page_bytes : (p + 1) * page_bytes]) for p in places]

    def wipe(self, name: str, value: int = CANARY) -> None:
        self.landings[name].region.tensor.fill_(value)

    def untouched(self, name: str, places: list[int], page_bytes: int, value: int = CANARY) -> bool:
        """Whether every byte of places is still the canary."""
        landing = self.landings[name].region.tensor
        return all(bool((landing[p * page_bytes : (p + 1) * page_bytes] == value).all()) for p in places)

    # Both

    def end(self, name: str) -> None:
        """Close a holder or a reader."""
        if name in self.holders:
            self.holders.pop(name).close()
        if name in self.readers:
            self.readers.pop(name).close()
            del self.landings[name]

    def state(self) -> dict[str, Any]:
        """What might leak."""
        status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return {
            "fds": len(os.listdir("/proc/self/fd")),
            "threads": int(status["Threads"]),
            "rss_mib": int(status["VmRSS"].split()[0]) / 1024,
        }

    def descriptors(self) -> list[str]:
        """What each leads to, in words."""
        return open_files()


def main() -> None:
    """Answer commands until stdin ends."""
    peer = Peer()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"value": getattr(peer, command.pop("do"))(**command)}
        except TransportError as error:
            answer = {"raised": type(error).__name__}
        print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
