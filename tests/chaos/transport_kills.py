"""Kill rounds of the transport: at a random page of a transfer one side dies, stops, or loses the other.

The survivor reports a typed error in time, or had finished with the right bytes; it lets go of everything and serves
the next request byte for byte, and nothing is written late. One reader survives the first part of the rounds, one
holder the second, so that what they keep adds up.
"""

import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.leaks import Leaks
from tests.chaos.rig import FEW, SECONDS, Pull, Rig, Sizes, require
from tests.chaos.tcp_proxy import TcpProxy
from tests.transport.kinds import ONE_PORT

SLACK_S = 10.0  # after a limit: a late answer is told from none
GONE = ("PeerLostError", "TransferTimeoutError")
# What a reader may hear as well that slept while its handle was released and its pages were used again.
RELEASED = ("LeaseEndedError", "TransferCorruptError")
STALE = "StaleEpochError"
SAY_EVERY = 10
BROKEN = (AssertionError, BrokenPipeError, queue.Empty)  # of a promise: a peer ended, or says nothing any more
# Rounds in which a survivor may grow: the engine's pool of connections grows to what is needed at once, the store's
# client fills its segment bit by bit, and opens more on failures.
WARM_ROUNDS = {"mooncake": 4, "mooncake_store": 8}
ENOUGH = 10  # rounds to tell whether strikes meet transfers


class Strike(Enum):
    """What happens in the middle of a transfer."""

    KILL_HOLDER = "holder killed"
    STOP_HOLDER = "holder stopped"
    CUT = "connection cut"
    SILENCE = "connection silent"
    KILL_READER = "reader killed"
    STOP_READER = "reader stopped"


LIMIT_S = {  # until the survivor knows
    Strike.KILL_HOLDER: 2.0, Strike.STOP_HOLDER: 5.0, Strike.CUT: 2.0, Strike.SILENCE: 5.0, Strike.KILL_READER: 2.0,
    Strike.STOP_READER: 5.0,
}  # fmt: skip
SIGNALS = {Strike.KILL_HOLDER: signal.SIGKILL, Strike.STOP_HOLDER: signal.SIGSTOP}
SURVIVED_BY_THE_HOLDER = (Strike.KILL_READER, Strike.STOP_READER)


@dataclass(frozen=True, slots=True)
class Round:
    """How one went."""

    strike: Strike
    met: bool  # the transfer was on its way
    failed: bool  # it did not end well; over shared memory a copy may outrun the holder's end
    noticed_s: float  # until the survivor knew
    served_s: float  # the next transfer


@dataclass(slots=True)
class Report:
    """All rounds over one kind of plane."""

    kind: str
    rounds: list[Round] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)  # what each kept


def strikes_of(kind: str) -> tuple[Strike, ...]:
    """What can happen to a kind. Connections are cut where a single one, over TCP, leads to the holder."""
    return tuple(strike for strike in Strike if kind in ONE_PORT or strike not in (Strike.CUT, Strike.SILENCE))


def run(kind: str, folder: Path, sizes: Sizes, rounds: int, seed: int, say: Callable[[str], None]) -> Report:
    """That many rounds over one kind. A violation is noted, and the rounds go on with new processes."""
    report, random, every = Report(kind), Random(f"{kind} {seed}"), strikes_of(kind)
    struck = [every[number % len(every)] for number in range(rounds)]
    random.shuffle(struck)
    parts = (
        ("reader", [strike for strike in struck if strike not in SURVIVED_BY_THE_HOLDER]),
        ("holder", [strike for strike in struck if strike in SURVIVED_BY_THE_HOLDER]),
    )
    rig: Rig | None = None
    for survivor, strikes in parts:
        while strikes:
            rig = rig or Rig(kind, folder, sizes, random)
            if not _survive(report, survivor, strikes, rig, say):
                rig.kill()
                rig = None
    if rig is not None:
        _close(report, rig)
    if rounds >= ENOUGH and sum(one.met for one in report.rounds) < rounds / 2:
        report.violations.append(f"{kind}: most strikes came after the transfer: it is too small to tell anything")
    return report


def _survive(report: Report, survivor: str, strikes: list[Strike], rig: Rig, say: Callable[[str], None]) -> bool:
    """Strike until all is done; False when a promise was broken, which is noted."""
    surviving = rig.reader if survivor == "reader" else rig.holder
    warm = WARM_ROUNDS.get(report.kind)
    pools_to = rig.pools_to
    leaks = Leaks(surviving, warm=warm is None, pools_to=pools_to)
    strike, before = strikes[-1], len(report.rounds)
    try:
        while strikes:
            strike = strikes.pop()
            struck = _strike_reader if strike in SURVIVED_BY_THE_HOLDER else _strike_holder
            report.rounds.append(struck(rig, strike))
            rig.check_quiet()
            if len(report.rounds) - before == warm:
                leaks = Leaks(surviving, warm=True, pools_to=pools_to)
            if len(report.rounds) % SAY_EVERY == 0:
                say(f"{report.kind}: {len(report.rounds)} rounds, {len(report.violations)} violations")
        leaks.check()
        rig.check_quiet()  # the last look: whatever is written late has had time
    except BROKEN as error:
        report.violations.append(f"{report.kind}, {strike.value}, after {len(report.rounds)} rounds: {error!r}")
        say(report.violations[-1])
        return False
    finally:
        report.survivors.append(f"{survivor} of {len(report.rounds) - before} rounds: {leaks}")
    return True


def _close(report: Report, rig: Rig) -> None:
    try:
        rig.close()
    except BROKEN as error:
        report.violations.append(f"{report.kind}, at the end: {error!r}")
    finally:
        rig.kill()


def _strike_holder(rig: Rig, strike: Strike) -> Round:
    """Kill or stop the holder, or take the connection away; the reader survives."""
    request = rig.publish()
    with _wire(rig, strike) as (address, proxy):
        pull = rig.pull(rig.reader, request | {"address": address})
        # The reader itself strikes the holder: the way over here takes as long as a part of the transfer.
        signalled = {} if proxy else {"pid": rig.holder.pid, "signum": SIGNALS[strike]}
        point = rig.random.randrange(rig.sizes.pages)
        started, landed = rig.reader.do("reached", fetch=pull.name, landed=point, **signalled)
        if proxy and strike is Strike.CUT:
            proxy.cut()
        elif proxy:
            proxy.silence()
        error = rig.outcome(rig.reader, pull, LIMIT_S[strike] + SLACK_S)
        noticed_s = time.monotonic() - started
    require(error is None or error.startswith(GONE), f"the reader was told {error}")
    require(noticed_s <= LIMIT_S[strike], f"the reader knew after {noticed_s:.2f} s only: {error}")
    rig.reader.do("give_back", fetch=pull.name)
    if strike is Strike.KILL_HOLDER or (strike is Strike.STOP_HOLDER and rig.random.random() < 0.5):
        rig.replace_holder()
        _ask_for_the_past(rig, request)
    else:
        rig.holder.send(signal.SIGCONT)
        rig.release(request)
    return Round(strike, landed < rig.sizes.pages, error is not None, noticed_s, rig.serve(rig.reader))


def _strike_reader(rig: Rig, strike: Strike) -> Round:
    """Kill or stop the reader; the holder survives, and other readers notice nothing."""
    before = rig.holder.do("state")["fds"]
    request = rig.publish()
    pull = rig.pull(rig.reader, request)
    started, landed = rig.reader.do("reached", fetch=pull.name, landed=rig.random.randrange(rig.sizes.pages))
    met = landed < rig.sizes.pages
    if strike is Strike.STOP_READER:
        rig.reader.send(signal.SIGSTOP)
        failed, noticed_s = _while_stopped(rig, pull, request)
        return Round(strike, met, failed, noticed_s, rig.serve(rig.reader))
    rig.reader.send(signal.SIGKILL)
    while rig.holder.do("state")["fds"] > before:
        require(time.monotonic() - started < LIMIT_S[strike], "the holder keeps connections of a dead reader")
    noticed_s = time.monotonic() - started
    rig.replace_reader(rig.new_reader())
    rig.release(request)
    return Round(strike, met, True, noticed_s, rig.serve(rig.reader))


def _while_stopped(rig: Rig, pull: Pull, request: dict[str, Any]) -> tuple[bool, float]:
    """The reader sleeps: the holder serves another meanwhile, and may give the sleeper's pages away.

    Whether the sleeper's transfer failed, and how long the other's took.
    """
    other, released = rig.new_reader(), rig.random.random() < 0.5
    if released:
        rig.release(request)
        rig.refill()
    noticed_s = rig.serve(other)
    require(noticed_s <= LIMIT_S[Strike.STOP_READER], f"a stopped reader held another up for {noticed_s:.2f} s")
    if rig.random.random() < 0.5:
        rig.replace_reader(other)
        error = "killed in its sleep"
    else:
        rig.reader.send(signal.SIGCONT)
        error = rig.outcome(rig.reader, pull, LIMIT_S[Strike.STOP_READER] + SLACK_S)
        told = GONE + RELEASED if released else GONE
        require(error is None or error.startswith(told), f"a reader that had slept was told {error}")
        rig.reader.do("give_back", fetch=pull.name)
        other.kill()
    rig.release(request)
    return error is not None, noticed_s


def _ask_for_the_past(rig: Rig, request: dict[str, Any]) -> None:
    """A new holder refuses what was granted in the life of the old one."""
    few = {name: request[name][:FEW] for name in ("pages", "digests", "generations")}
    pull = rig.pull(rig.reader, request | few | {"address": rig.address})
    error = rig.outcome(rig.reader, pull, SECONDS)
    require(error is not None and error.startswith(STALE), f"a handle of a holder's earlier life ended with {error}")
    rig.reader.do("give_back", fetch=pull.name)


@contextmanager
def _wire(rig: Rig, strike: Strike) -> Iterator[tuple[str, TcpProxy | None]]:
    """The address that a reader dials, and the proxy behind it where the connection itself is struck."""
    if strike not in (Strike.CUT, Strike.SILENCE):
        yield rig.address, None
        return
    host, port = rig.address.removeprefix("tcp://").rsplit(":", 1)
    proxy = TcpProxy(host, int(port))
    try:
        yield f"tcp://127.0.0.1:{proxy.port}", proxy
    finally:
        proxy.close()
