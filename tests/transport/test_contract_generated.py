"""The contract in generated situations, each between two real processes (one for the plane within a process).

A case draws handles that share pages, readers at once, and what goes wrong: a wrong or foreign token, an older epoch, a
replayed request, a grant that expired or was renewed, a release or a cancellation in the middle, a changed byte, lying
digests and lengths. Whatever happens, a fetch ends with the right pages or the right error, nothing is written beside
the places asked for, and the next fetch works.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.transport.kinds import ACROSS_PROCESSES, OVER_MOONCAKE, WITHIN_ONE_PROCESS
from tests.transport.peers import PeerProcess, peer_process
from tests.transport.store_servers import store_of

Published = dict[int, tuple[int, int]]  # page -> generation, digest
# Of each kind; `make chaos` draws more.
CASES = int(os.environ.get("CONTRACT_CASES", "42"))
POOLS = {"small": (64, 4_104), "toy": (48, 57_344), "large": (24, 917_504)}  # pages, bytes a page
EPOCH, PLACES = 1_000_003, 40
SECONDS = 20.0


class Rig:
    """A holder process with pools of three page sizes, and a process that reads them."""

    def __init__(self, kind: str, holder: PeerProcess, reader: PeerProcess, folder: Path) -> None:
        self.kind, self.holder, self.reader = kind, holder, reader
        self.secure = kind not in ("shm", "mooncake", "mooncake_store")
        self.copies = kind == "mooncake_store"
        self.addresses: dict[str, str] = {}
        for name, (pages, size) in POOLS.items():
            self.addresses[name] = holder.do(
                "serve", name=name, kind=kind, folder=str(folder), pages=pages, page_bytes=size, epoch=EPOCH
            )[1]
            reader.do("read", name=f"{name}-reader", kind=kind, folder=str(folder), places=PLACES, page_bytes=size)
            # Over shared memory a token is shown once, at the first look: no case shall depend on who was first.
            published = self.publish(name, "first", [0])
            assert self.fetch(name, self.request(name, self.grant(name, "first"), published, [0]))["error"] is None
            holder.do("release", name=name, handle="first")

    def publish(self, pool: str, handle: str, pages: list[int]) -> Published:
        """Generation and digest of each page."""
        generations, digests = self.holder.do("publish", name=pool, handle=handle, pages=pages)
        return dict(zip(pages, zip(generations, digests, strict=True), strict=True))

    def grant(self, pool: str, handle: str, seconds: float = 60.0) -> str:
        token: str = self.holder.do("grant", name=pool, handle=handle, seconds=seconds)
        return token

    def request(self, pool: str, token: str, published: Published, places: list[int]) -> dict[str, Any]:
        """A request for published pages, one copy a page."""
        return {
            "address": self.addresses[pool], "epoch": EPOCH, "token": token, "page_bytes": POOLS[pool][1],
            "copies": [[page, place, 1] for page, place in zip(published, places, strict=True)],
            "digests": [digest for _, digest in published.values()],
            "generations": [generation for generation, _ in published.values()], "seconds": SECONDS,
        }  # fmt: skip

    def fetch(self, pool: str, request: dict[str, Any]) -> dict[str, Any]:
        self.reader.do("start", name=f"{pool}-reader", fetch="f", request=request)
        outcome: dict[str, Any] = self.reader.do("join", fetch="f")
        return outcome


@pytest.fixture(scope="module", params=[*WITHIN_ONE_PROCESS, *ACROSS_PROCESSES, *OVER_MOONCAKE])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("kv")
    with ExitStack() as stack:
        if request.param == "mooncake_store":
            stack.enter_context(store_of(folder))
        holder = stack.enter_context(peer_process())
        reader = holder if request.param in WITHIN_ONE_PROCESS else stack.enter_context(peer_process())
        yield Rig(request.param, holder, reader, folder)


class Case:
    """One generated situation: a pool, handles with shared pages, and a request that would work."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.random = rig, Random(f"{rig.kind} {seed}")
        self.pool = self.random.choice(list(POOLS))
        self.size = POOLS[self.pool][1]
        self.handles = [f"{seed}-{index}" for index in range(self.random.randint(1, 3))]
        pages, shared = list(range(POOLS[self.pool][0])), self.random.sample(range(POOLS[self.pool][0]), 3)
        self.published: dict[str, Published] = {}
        for handle in self.handles:
            own = sorted({*self.random.sample(pages, self.random.randint(1, 12)), *shared})
            cut = self.random.randint(0, len(own))
            groups = [group for group in (own[:cut], own[cut:]) if group]  # as prefill finishes them
            self.published[handle] = {
                p: v for group in groups for p, v in rig.publish(self.pool, handle, group).items()
            }
        self.handle = self.handles[0]
        self.token = rig.grant(self.pool, self.handle)
        self.places = self.random.sample(range(PLACES), len(self.published[self.handle]))
        rig.reader.do("wipe", name=f"{self.pool}-reader")

    def request(self) -> dict[str, Any]:
        return self.rig.request(self.pool, self.token, self.published[self.handle], self.places)

    def fetch(self, request: dict[str, Any]) -> str | None:
        """The outcome: None or the error's class."""
        error: str | None = self.rig.fetch(self.pool, request)["error"]
        return error

    def check_landed(self) -> None:
        """Every page lies in its place, and nothing was written elsewhere."""
        expected = [digest for _, digest in self.published[self.handle].values()]
        reader, name = self.rig.reader, f"{self.pool}-reader"
        assert reader.do("landed", name=name, places=self.places, page_bytes=self.size) == expected
        others = sorted(set(range(PLACES)) - set(self.places))
        assert reader.do("untouched", name=name, places=others, page_bytes=self.size)

    def check_ended(self, request: dict[str, Any]) -> None:
        """The lease is over: at once, or where copies are kept soon, and until then the right bytes come."""
        deadline = time.monotonic() + SECONDS
        while (error := self.fetch(request)) is None and self.rig.copies and time.monotonic() < deadline:
            self.check_landed()
        assert error == "LeaseEndedError"

    def release(self) -> None:
        for handle in self.handles:
            self.rig.holder.do("release", name=self.pool, handle=handle)


def plain(case: Case) -> None:
    assert case.fetch(case.request()) is None
    case.check_landed()


def replayed(case: Case) -> None:
    plain(case)
    plain(case)


def two_readers(case: Case) -> None:
    first, second = case.request(), case.request()
    second["token"] = case.rig.grant(case.pool, case.handle)
    for name, request in (("a", first), ("b", second)):
        case.rig.reader.do("start", name=f"{case.pool}-reader", fetch=name, request=request)
    assert [case.rig.reader.do("join", fetch=name)["error"] for name in "ab"] == [None, None]
    case.check_landed()


def renewed(case: Case) -> None:
    case.rig.holder.do("renew", name=case.pool, token=case.token, seconds=90)
    plain(case)


def expired(case: Case) -> None:
    case.rig.holder.do("renew", name=case.pool, token=case.token, seconds=0)
    assert case.fetch(case.request()) == ("LeaseEndedError" if case.rig.secure else None)


def closed(case: Case) -> None:
    case.rig.holder.do("close_grant", name=case.pool, token=case.token)
    assert case.fetch(case.request()) == ("LeaseEndedError" if case.rig.secure else None)


def wrong_secret(case: Case) -> None:
    request = case.request() | {"token": bytes(case.random.randbytes(16)).hex()}
    assert case.fetch(request) == ("TransferRefusedError" if case.rig.secure else None)


def foreign_page(case: Case) -> None:
    own = case.published[case.handle]
    other = next((p for h in case.handles for p in case.published[h] if p not in own), None)
    if other is None:
        plain(case)
        return
    values = next(case.published[h][other] for h in case.handles if other in case.published[h])
    request = case.rig.request(case.pool, case.token, {other: values}, case.places[:1])
    assert case.fetch(request) == ("TransferRefusedError" if case.rig.secure else None)


def older_epoch(case: Case) -> None:
    assert case.fetch(case.request() | {"epoch": EPOCH - case.random.randint(1, 5)}) == "StaleEpochError"


def released(case: Case) -> None:
    case.release()
    case.check_ended(case.request())


def released_and_taken_by_another(case: Case) -> None:
    request = case.request()
    case.release()
    for page in case.published[case.handle]:
        case.rig.holder.do("fill", name=case.pool, page=page, value=case.random.randint(100, 1 << 20))
    case.rig.publish(case.pool, "another", list(case.published[case.handle]))
    case.check_ended(request)
    case.rig.holder.do("release", name=case.pool, handle="another")


def aborted_by_the_holder(case: Case) -> None:
    case.rig.reader.do("start", name=f"{case.pool}-reader", fetch="f", request=case.request())
    case.release()
    assert case.rig.reader.do("join", fetch="f")["error"] in (None, "LeaseEndedError")


def cancelled_by_the_reader(case: Case) -> None:
    case.rig.reader.do("start", name=f"{case.pool}-reader", fetch="f", request=case.request())
    case.rig.reader.do("cancel", fetch="f")
    assert case.rig.reader.do("join", fetch="f")["error"] in (None, "TransferCancelledError")


def past_its_deadline(case: Case) -> None:
    assert case.fetch(case.request() | {"seconds": case.random.choice([0.0, -1.0])}) == "TransferTimeoutError"


def corrupt_byte(case: Case) -> None:
    if case.rig.copies:
        plain(case)  # from here on the copy is there, and stays right
    page = case.random.choice(list(case.published[case.handle]))
    case.rig.holder.do("flip", name=case.pool, page=page)
    assert case.fetch(case.request()) == (None if case.rig.copies else "TransferCorruptError")
    case.rig.holder.do("flip", name=case.pool, page=page)
    plain(case)


def lying_digest(case: Case) -> None:
    request = case.request()
    request["digests"][case.random.randrange(len(request["digests"]))] ^= 1
    assert case.fetch(request) == "TransferCorruptError"


def lying_length(case: Case) -> None:
    longer = case.request() | {"page_bytes": case.size + 8}
    assert case.fetch(longer) in ("TransferCorruptError", "TransferRefusedError")
    fewer = case.request()
    fewer["digests"].pop()
    assert case.fetch(fewer) == "TransferRefusedError"


def beyond_the_pool(case: Case) -> None:
    request = case.request()
    request["copies"][0][0] = case.random.choice([POOLS[case.pool][0], 2**40, -1])
    assert case.fetch(request) in ("TransferRefusedError", "LeaseEndedError")


SITUATIONS = (
    plain, replayed, two_readers, renewed, expired, closed, wrong_secret, foreign_page, older_epoch, released,
    released_and_taken_by_another, aborted_by_the_holder, cancelled_by_the_reader, past_its_deadline, corrupt_byte,
    lying_digest, lying_length, beyond_the_pool,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(CASES))
def test_a_fetch_ends_with_the_right_pages_or_the_right_error(rig: Rig, seed: int) -> None:
    case = Case(rig, seed)
    SITUATIONS[seed % len(SITUATIONS)](case)
    assert rig.reader.do("settle", seconds=30)
    case.release()

    after = Case(rig, seed + CASES)
    plain(after)
    after.release()
