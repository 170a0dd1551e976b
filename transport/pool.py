"""The holder's page memory: one sealed, pre-faulted memfd that any process given its descriptor can look at.

    header | generations, 8 B a page | pages

A CPU engine writes its keys and values right there. On a GPU the pool's pages are device memory, and the memfd is their
mirror on the host, filled page by page at publication by the thread that owns the device.
"""

import fcntl
import mmap
import os
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bagel.errors import ConfigError
from bagel.kv_layout import page_runs
from transport.base import Generations, Region
from transport.errors import TransferRefusedError

MAGIC = b"BKVP"
VERSION = 1
ALIGNMENT = 4096
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
_HEADER = struct.Struct("<4sIQQQ")  # magic, version, epoch, page bytes, pages
GENERATIONS_AT = _HEADER.size  # offset of the generations, in bytes
# Not in Python's fcntl before 3.12; the kernel has it since 5.1. Readers cannot map the pool for writing.
F_SEAL_FUTURE_WRITE = 0x0010


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """Where things lie in the memory."""

    epoch: int
    page_bytes: int
    num_pages: int

    @property
    def pages_at(self) -> int:
        """Offset of page 0, in bytes."""
        return _aligned(GENERATIONS_AT + 8 * self.num_pages)

    @property
    def num_bytes(self) -> int:
        """Size of the whole memory."""
        return self.pages_at + self.num_pages * self.page_bytes

    def pack(self) -> bytes:
        """The header."""
        return _HEADER.pack(MAGIC, VERSION, self.epoch, self.page_bytes, self.num_pages)

    @classmethod
    def read(cls, fd: int) -> "PoolLayout":
        """The layout of a pool that came from elsewhere. Raises TransferRefusedError when it is none."""
        layout = cls.unpack(os.pread(fd, GENERATIONS_AT, 0))
        if os.fstat(fd).st_size != layout.num_bytes:
            raise TransferRefusedError("the holder's pool has another size than it says")
        return layout

    @classmethod
    def unpack(cls, head: bytes) -> "PoolLayout":
        """The layout that a pool's first bytes describe. Raises TransferRefusedError when they are of no pool."""
        if len(head) < GENERATIONS_AT or head[:4] != MAGIC:
            raise TransferRefusedError("what the holder sent or lets us read is no page pool")
        _, version, epoch, page_bytes, num_pages = _HEADER.unpack_from(head)
        if version != VERSION:
            raise TransferRefusedError(f"the holder's pool has version {version}, this reader knows {VERSION}")
        return cls(epoch, page_bytes, num_pages)


class Pool:
    """Pages of a holder. `region` is where the engine writes; `host` [num_pages * page_bytes] is what readers see."""

    def __init__(self, *, num_pages: int, page_bytes: int, epoch: int, device: torch.device) -> None:
        self.layout = PoolLayout(epoch, page_bytes, num_pages)
        self.fd = _sealed_memory(self.layout)
        memory = mmap.mmap(self.fd, self.layout.num_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        _seal(self.fd)
        self.generations: Generations = np.frombuffer(memory, np.uint64, num_pages, GENERATIONS_AT)
        self.host: Tensor = torch.frombuffer(memory, dtype=torch.uint8, offset=self.layout.pages_at)
        on_host = device.type == "cpu"
        self.region = Region(self.host if on_host else torch.zeros_like(self.host, device=device))
        self._mirrored = not on_host
        if device.type == "cuda":
            # Copies from the device run at full speed into pinned memory only; a refusal costs speed, nothing else.
            torch.cuda.cudart().cudaHostRegister(self.host.data_ptr(), self.host.numel(), 0)  # type: ignore[no-untyped-call]

    @property
    def view(self) -> memoryview:
        """The host's pages as bytes."""
        return memoryview(self.host.numpy().data).cast("B")

    def expose(self, pages: Sequence[int]) -> None:
        """Make what the engine wrote visible on the host. On a GPU the caller must own the device."""
        if not self._mirrored:
            return
        size = self.layout.page_bytes
        for run in page_runs(sorted(pages)):
            part = slice(run.start * size, (run.start + run.count) * size)
            self.host[part].copy_(self.region.tensor[part])

    def close(self) -> None:
        """Close the descriptor. The memory lives as long as somebody looks at it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class ReadOnlyPool:
    """Another process's pool, mapped read-only from its descriptor, which it takes over and closes."""

    def __init__(self, fd: int) -> None:
        try:
            self.layout = PoolLayout.read(fd)
            memory = mmap.mmap(
                fd, self.layout.num_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ
            )
        finally:
            os.close(fd)
        self.generations: Generations = np.frombuffer(memory, np.uint64, self.layout.num_pages, GENERATIONS_AT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch has no read-only tensors; a write would be a fault
            self.pages: Tensor = torch.frombuffer(memory, dtype=torch.uint8, offset=self.layout.pages_at)


def _sealed_memory(layout: PoolLayout) -> int:
    # The kernel would hand out pages until the machine has none left, and then end some process.
    available = _available_bytes()
    if layout.num_bytes > available:
        raise ConfigError(
            f"KV pages need {layout.num_bytes / 2**20:.0f} MiB of memory, {available / 2**20:.0f} MiB are available:"
            " lower --kv-pool-tokens or --gpu-memory-utilization"
        )
    fd = os.memfd_create("bagel-kv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.posix_fallocate(fd, 0, layout.num_bytes)
    os.pwrite(fd, layout.pack(), 0)
    return fd


def _available_bytes() -> int:
    """Memory that this process may still take: of the machine, and of its control group where that has a limit."""
    fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    try:
        limit, used = (CGROUP / "memory.max").read_text().strip(), int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return available if limit == "max" else min(available, int(limit) - used)


def _seal(fd: int) -> None:
    """Once we have mapped it, nobody resizes the memory and nobody else maps it for writing."""
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE)
    except OSError:  # a kernel before 5.1
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
