"""The scripts that start nodes, with a stand-in for `bagel`: how their signals are passed on."""

import os
import pty
import select
import signal
import sys
from pathlib import Path

from tests.processes import ROOT

# Says that it is there, and notes the signal that it gets.
STAND_IN = f"""#!{sys.executable}
import os, signal
wanted = (signal.SIGHUP, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print("begun", flush=True)
got = signal.sigtimedwait(wanted, 30)
with open(os.environ["NOTES"], "a") as notes:
    print(got and signal.Signals(got.si_signo).name, file=notes)
"""


def test_closing_the_terminal_of_both_stages_tells_both_and_waits_for_them(tmp_path: Path) -> None:
    program, notes = tmp_path / "bagel", tmp_path / "notes"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    script = str(ROOT / "deploy/scripts/run_server_stage_cli.sh")
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(script, [script], {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTES": str(notes)})
    said = b""
    while said.count(b"begun") < 2:
        assert select.select([fd], [], [], 10)[0], said
        said += os.read(fd, 1 << 12)
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert notes.read_text().split() == [signal.SIGHUP.name] * 2
