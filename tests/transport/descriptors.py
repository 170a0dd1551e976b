"""What a process's descriptors lead to, in words: for when a count of them surprises."""

import os
import socket
import stat
from pathlib import Path


def open_files() -> list[str]:
    """One for each descriptor of this process, sorted: a path, or a socket's kind, its end and the other one."""
    return sorted(told for entry in Path("/proc/self/fd").iterdir() if (told := _told(int(entry.name))))


def _told(fd: int) -> str | None:
    """None for one that is closed already: that of the folder which is read."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return os.readlink(f"/proc/self/fd/{fd}")
        with socket.socket(fileno=os.dup(fd)) as end:
            return f"{end.family.name} {end.type.name} {end.getsockname()} to {_other(end)}"
    except OSError:
        return None


def _other(end: socket.socket) -> str:
    try:
        return str(end.getpeername())
    except OSError:
        return "nobody"
