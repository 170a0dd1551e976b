"""`bagel doctor transport` between two real processes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port
from tests.processes import ROOT

COMMAND = (sys.executable, "-m", "services.cli.main", "doctor", "transport")


@contextmanager
def listening(*flags: str) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    command = [*COMMAND, "--listen", address, *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "on the other node" in line:
                    break
            yield address
        finally:
            process.kill()


def look_at(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_every_way_between_two_nodes_is_measured_and_the_best_is_named() -> None:
    with listening() as address:
        done = look_at(address)
    assert done.returncode == 0, done.stderr
    assert re.search(r"control: +[0-9.]+ ms", done.stdout)
    assert re.search(r"shm +[0-9.]+ GB/s, [0-9.]+ s for an edit at 1024 px; for trusted networks only", done.stdout)
    assert re.search(r"zeromq +[0-9.]+ GB/s, [0-9.]+ s for an edit at 1024 px\n", done.stdout)
    assert "a DiT here would take shm" in done.stdout


def test_a_way_that_only_one_side_has_is_explained() -> None:
    with listening("--transport", "shm,zeromq") as address:
        done = look_at(address, "--transport", "zeromq")
    assert done.returncode == 0, done.stderr
    assert "shm             no: not enabled on this node" in done.stdout
    assert "would take zeromq" in done.stdout


def test_a_node_that_does_not_listen_is_one_clear_message() -> None:
    done = look_at(f"127.0.0.1:{free_port()}")
    assert done.returncode == 78
    assert "bagel doctor transport --listen" in done.stderr
    assert "Traceback" not in done.stderr
