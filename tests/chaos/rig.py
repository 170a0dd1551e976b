"""A holder and a reader process over one plane: replaced when they die, checked for what they keep.

Knows what a transfer is and what may be left after one; which process is struck, and when, the rounds know.
"""

import queue
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.transport.peers import PeerProcess
from tests.transport.store_servers import where

SECONDS = 30.0  # deadline of a transfer, far beyond every limit
QUIET_S = 20.0  # until a failed transfer has let go of everything
FIRST_EPOCH = 1_000_003
FEW = 4  # pages of a transfer that is to be refused
SPARE_PAGES = 5  # of a pool, for each four that a transfer takes: so that its pages are scattered
NOT_SENT = ("pages", "handle")  # of a request: what only the rig knows


class ViolationError(AssertionError):
    """A promise of the transport was broken."""


def require(condition: bool, text: str) -> None:
    """Raise ViolationError unless the condition holds."""
    if not condition:
        raise ViolationError(text)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of one transfer."""

    pages: int
    page_bytes: int


@dataclass(frozen=True, slots=True)
class Pull:
    """A transfer on its way: its name at the reader, its places there and what has to land on them."""

    name: str
    places: list[int]
    digests: list[int]


class Rig:
    """The two processes. `proxied` is whether a TCP connection alone leads to the holder."""

    def __init__(self, kind: str, folder: Path, sizes: Sizes, random: Random) -> None:
        self.kind, self.sizes, self.random = kind, sizes, random
        self._folder, self.epoch = folder, FIRST_EPOCH
        self._not_ours = set(folder.iterdir())
        self._handles = self._pulls = 0
        self._dead_sockets: list[str] = []
        self._started: list[PeerProcess] = []
        self._spare = self._start()
        try:
            self.holder, self.reader = self._new_holder(), self.new_reader()
            self.serve(self.reader)  # threads and buffers that are made once
        except BaseException:
            self.kill()
            raise

    # Processes

    def replace_holder(self) -> None:
        """Kill the holder; a new one takes over, under another address, in the next epoch."""
        self.holder.kill()
        self._dead_sockets.append(self.address)
        self.epoch += 1
        self.holder = self._new_holder()

    def replace_reader(self, other: PeerProcess) -> None:
        """Kill the reader; another takes over."""
        self.reader.kill()
        self.reader = other

    def new_reader(self) -> PeerProcess:
        """One more reader; `kill` ends it too."""
        reader = self._take_spare()
        # Room for two transfers that failed, one of a few pages, in quarantine, and for the next.
        reader.do(
            "read", name="landing", kind=self.kind, folder=str(self._folder), places=2 * self.sizes.pages + FEW,
            page_bytes=self.sizes.page_bytes,
        )  # fmt: skip
        return reader

    def close(self) -> None:
        """End holder and reader in order. Raises ViolationError when they leave something behind."""
        self.holder.do("end", name="pool")
        self.reader.do("end", name="landing")
        left = [str(path) for path in set(self._folder.iterdir()) - self._not_ours]
        left = [path for path in left if not any(address.endswith(path) for address in self._dead_sockets)]
        require(not left, f"{left} were left behind by holders that ended in order")

    def kill(self) -> None:
        """End everything at once; harmless after `close`, which leaves the processes to this."""
        for peer in self._started:
            peer.kill()

    @property
    def pools_to(self) -> tuple[int, ...]:
        """Ports of the servers that a process over this plane keeps connections to."""
        servers = where(self._folder) if self.kind == "mooncake_store" else ()
        return tuple(int(server.split("/metadata")[0].rsplit(":", 1)[1]) for server in servers)

    # Transfers

    def publish(self) -> dict[str, Any]:
        """Scattered pages under a new handle; the request that fetches them, with `pages` and `handle`."""
        self._handles += 1
        handle = str(self._handles)
        pages = sorted(self.random.sample(range(self._pool_pages), self.sizes.pages))
        generations, digests = self.holder.do("publish", name="pool", handle=handle, pages=pages)
        token = self.holder.do("grant", name="pool", handle=handle, seconds=2 * SECONDS)
        return {
            "pages": pages, "handle": handle, "address": self.address, "epoch": self.epoch, "token": token,
            "digests": digests, "generations": generations, "page_bytes": self.sizes.page_bytes, "seconds": SECONDS,
        }  # fmt: skip

    def release(self, request: dict[str, Any]) -> None:
        """End the handle of a request."""
        self.holder.do("release", name="pool", handle=request["handle"])

    def check_quiet(self) -> None:
        """Between two rounds nothing is published and all landing memory is free, and whole."""
        left = self.holder.do("published", name="pool")
        require(left == 0, f"{left} pages of the holder are still published after every handle was released")
        self.check_landing(self.reader)

    def check_landing(self, reader: PeerProcess) -> None:
        """Every place is free, and nobody wrote to one that was."""
        state = reader.do("landing", name="landing")
        require(not state["damage"], f"landing memory: {state['damage']}")
        require(state["free"] == state["places"], f"landing memory leaks: {state}")

    def refill(self) -> None:
        """New bytes in every page of the pool, as a later request writes them."""
        for page in range(self._pool_pages):
            self.holder.do("fill", name="pool", page=page, value=self.random.randrange(1 << 30))

    def pull(self, reader: PeerProcess, request: dict[str, Any]) -> Pull:
        """Start a transfer."""
        self._pulls += 1
        name, rest = str(self._pulls), {key: value for key, value in request.items() if key not in NOT_SENT}
        places = reader.do("pull", name="landing", fetch=name, pages=request["pages"], request=rest)
        require(places is not None, "no room in landing memory: places of earlier transfers never came back")
        return Pull(name, places, request["digests"])

    def outcome(self, reader: PeerProcess, pull: Pull, within_s: float) -> str | None:
        """The transfer's error, or None after a look at its bytes. Its places stay reserved."""
        reader.tell("join", fetch=pull.name)
        outcome = hear(reader, within_s, "the transfer neither ended nor failed")
        if outcome["error"] is None:
            self.check(reader, pull)
            return None
        return f"{outcome['error']}: {outcome['text']}"

    def check(self, reader: PeerProcess, pull: Pull) -> None:
        """Every page lies in its place."""
        landed = reader.do("landed", name="landing", places=pull.places, page_bytes=self.sizes.page_bytes)
        wrong = sum(a != b for a, b in zip(landed, pull.digests, strict=True))
        require(not wrong, f"{wrong} of {len(landed)} pages of a transfer that was reported as done are wrong")

    def serve(self, reader: PeerProcess) -> float:
        """One whole transfer of new pages, byte for byte; its seconds. A late write into it shows at its end."""
        request = self.publish()
        started = time.monotonic()
        pull = self.pull(reader, request)
        error = self.outcome(reader, pull, SECONDS)
        seconds = time.monotonic() - started
        require(error is None, f"the next request failed: {error}")
        self.release(request)
        require(reader.do("settle", seconds=QUIET_S), f"a failed transfer had not let go after {QUIET_S:.0f} s")
        self.check(reader, pull)
        reader.do("give_back", fetch=pull.name)
        self.check_landing(reader)
        return seconds

    # Private

    @property
    def _pool_pages(self) -> int:
        return self.sizes.pages * SPARE_PAGES // 4

    def _new_holder(self) -> PeerProcess:
        holder = self._take_spare()
        _, self.address = holder.do(
            "serve", name="pool", kind=self.kind, folder=str(self._folder), pages=self._pool_pages,
            page_bytes=self.sizes.page_bytes, epoch=self.epoch,
        )  # fmt: skip
        return holder

    def _take_spare(self) -> PeerProcess:
        """A process that has started already, mostly; the next one starts meanwhile."""
        spare, self._spare = self._spare, self._start()
        return spare

    def _start(self) -> PeerProcess:
        self._started.append(PeerProcess())
        return self._started[-1]


def hear(peer: PeerProcess, within_s: float, late: str) -> Any:
    """A peer's next answer. Raises ViolationError, with the text `late`, when it takes longer."""
    try:
        return peer.hear(within_s)
    except queue.Empty:
        raise ViolationError(f"{late} within {within_s:.1f} s") from None
