"""Where a stage listens that joins a master, and what others dial."""

import pytest

from bagel.addresses import host_towards, is_loopback, join_address, split_address
from bagel.errors import ConfigError
from bagel.placing import Placing, advertised, placed

NOTHING = Placing(bind=None, advertise_address=None, kv_bind=None, kv_advertise_host=None)


def asked(
    bind: str | None = None, advertise: str | None = None, kv_bind: str | None = None, kv_host: str | None = None
) -> Placing:
    return Placing(bind=bind, advertise_address=advertise, kv_bind=kv_bind, kv_advertise_host=kv_host)


def test_a_master_on_this_host_keeps_the_stage_on_the_loopback() -> None:
    for master, host in (("127.0.0.1:1", "127.0.0.1"), ("[::1]:1", "::1")):
        own = join_address(host, 0)
        assert placed(NOTHING, master) == asked(own, own, f"tcp://{own}", host)


def test_an_unknown_name_takes_the_default_route() -> None:
    assert _towards("no..name:1") == _towards("192.0.2.1:9")


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        # What was said stays, and the rest follows it.
        (asked("127.0.0.2:5"), asked("127.0.0.2:5", "127.0.0.2:0", "tcp://127.0.0.2:0", "127.0.0.2")),
        # What is listened on everywhere is advertised where the master is reached from.
        (asked("0.0.0.0:5"), asked("0.0.0.0:5", "127.0.0.1:0", "tcp://0.0.0.0:0", "127.0.0.1")),
        (asked("[::]:5"), asked("[::]:5", "127.0.0.1:0", "tcp://[::]:0", "127.0.0.1")),
        (
            asked("0.0.0.0:5", "10.0.0.9:77"),
            asked("0.0.0.0:5", "10.0.0.9:77", "tcp://0.0.0.0:0", "10.0.0.9"),
        ),
        # A name may lead to a proxy: pages are not fetched by it.
        (asked("0.0.0.0:5", "dit.example"), asked("0.0.0.0:5", "dit.example", "tcp://0.0.0.0:0", "127.0.0.1")),
        (asked(kv_bind="tcp://10.1.1.1:0"), asked("127.0.0.1:0", "127.0.0.1:0", "tcp://10.1.1.1:0", None)),
        (asked(kv_bind="tcp://0.0.0.0:9"), asked("127.0.0.1:0", "127.0.0.1:0", "tcp://0.0.0.0:9", "127.0.0.1")),
        (asked(kv_host="10.2.2.2"), asked("127.0.0.1:0", "127.0.0.1:0", "tcp://127.0.0.1:0", "10.2.2.2")),
        (asked("unix:/run/dit.sock"), asked("unix:/run/dit.sock")),
    ],
)
def test_what_nobody_said_is_chosen(said: Placing, chosen: Placing) -> None:
    assert placed(said, "127.0.0.1:1") == chosen


@pytest.mark.parametrize(
    ("said", "bound", "dialled"),
    [
        (None, "127.0.0.1:5", "127.0.0.1:5"),
        ("10.0.0.9", "0.0.0.0:5", "10.0.0.9:5"),
        ("10.0.0.9:0", "0.0.0.0:5", "10.0.0.9:5"),
        ("10.0.0.9:77", "0.0.0.0:5", "10.0.0.9:77"),
        ("fd00::9", "[::]:5", "[fd00::9]:5"),
        ("[fd00::9]", "[::]:5", "[fd00::9]:5"),
        ("[fd00::9]:77", "[::]:5", "[fd00::9]:77"),
        ("dit.example", "[::]:5", "dit.example:5"),
        ("unix:/run/dit.sock", "unix:/run/dit.sock", "unix:/run/dit.sock"),
        (None, "unix:/run/dit.sock", "unix:/run/dit.sock"),
    ],
)
def test_others_dial_what_is_advertised_on_the_port_that_was_taken(said: str | None, bound: str, dialled: str) -> None:
    assert advertised(said, bound) == dialled


@pytest.mark.parametrize("wrong", ["", "host", ":5", "host:", "host:70000", "host:x", "::1:5", "[]:5"])
def test_what_is_no_address_is_refused_by_its_flag(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"^--master "):
        split_address(wrong, flag="--master")


def test_loopback_is_known_in_every_form() -> None:
    assert all(is_loopback(each) for each in ("127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "localhost:5"))
    assert not any(is_loopback(each) for each in ("10.0.0.1:5", "[fd00::1]:5", "host:5", "unix:/run/x"))


def _towards(master: str) -> str | None:
    try:
        return host_towards(master)
    except ConfigError:
        return None  # this host has no route to others
