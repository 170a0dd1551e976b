"""Telling a supervisor that this process serves: a byte over a pipe that it was handed (`--ready-fd`)."""

import os
from contextlib import suppress


def tell_ready(fd: int | None) -> None:
    """Once; the pipe is closed then. Nothing without one."""
    if fd is None:
        return
    with suppress(BrokenPipeError):  # nobody listens any more
        os.write(fd, b"1")
    os.close(fd)
