"""The terminal that a process was started from: a hangup without one is somebody's word, with it gone it is the end."""

import os
import sys


def has_terminal() -> bool:
    """Whether there is one that still belongs to this session."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def forget_terminal() -> None:
    """Write what is still said to nowhere: a terminal that is gone fails every line."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
