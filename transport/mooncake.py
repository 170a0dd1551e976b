"""Pages between hosts over Mooncake's Transfer Engine: the reader copies them out of the holder's memory itself.

Whoever reaches an engine's two open ports reads and writes what it has registered, on either side, so this plane is
not secure: it is for networks where everybody is trusted. The holder is asked nothing, so tokens are not checked; the
reader checks the holder's epoch and its pages' generations, before and after, and every page's digest.
Over RDMA it was never run on hardware. Mooncake's knobs: `transport.mooncake_environment`.
"""

import threading
import time
from dataclasses import replace

from bagel.errors import ConfigError
from transport.base import Capabilities, Endpoint, FetchReport, FetchRequest, Region
from transport.errors import PeerLostError, TransferRefusedError, TransferTimeoutError
from transport.holder import Holder
from transport.mooncake_engine import Engine, check_device
from transport.mooncake_engines import Engines
from transport.mooncake_environment import check_host, check_protocol, is_literal, is_v6, prepare
from transport.mooncake_install import load
from transport.mooncake_peer import Address, unreachable
from transport.mooncake_pull import MAX_SLICES, Pull
from transport.pool import GENERATIONS_AT
from transport.reading import check_request, remaining_s

CAPABILITIES = Capabilities(name="mooncake", secure=False, max_slices=MAX_SLICES)
PROBE_TIMEOUT_S = 2.0
# How long an answer about an address counts.
REACHED_S, UNREACHED_S = 5.0, 1.0


class MooncakePlane:
    """`DataPlane` over Mooncake. `host` is where others reach this host; `device` names RDMA devices, with commas.

    `protocol` is tcp or rdma. Raises ConfigError when Mooncake is not installed, or installed twice, when the host is
    nobody's address, or when rdma is asked for without a device. Without `digests` nothing is hashed: for measurements
    alone.
    """

    def __init__(
        self, host: str = "127.0.0.1", *, protocol: str = "tcp", device: str = "", digests: bool = True
    ) -> None:
        self._host, self._protocol = check_host(host), check_protocol(protocol)
        self._device, self._digests = device, digests
        check_device(self._protocol, device)
        prepare(self._host, self._protocol)
        self._module = load("engine")
        self._cuda = bool(self._module.SUPPORT_CUDA)
        self._served: Engine | None = None
        self._engines = Engines(self._engine)
        self._closed = threading.Event()
        self._probed: dict[str, tuple[float, str | None]] = {}  # address -> until when, and why not

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, digests=self._digests, device_memory=self._cuda)

    def serve(self, holder: Holder) -> Endpoint:
        layout, pages = holder.pool.layout, holder.pool.host
        base = pages.data_ptr() - layout.pages_at
        self._served = self._engine()
        self._served.register_bytes(base, layout.num_bytes)
        address = Address(self._protocol, self._host, self._served.port, base, layout.num_pages)
        return Endpoint(CAPABILITIES.name, str(address), CAPABILITIES.secure)

    def unreachable(self, address: str) -> str | None:
        return self._probe(address, PROBE_TIMEOUT_S)

    def attach(self, request: FetchRequest) -> None:
        del request

    def prepare(self, landing: Region) -> None:
        """Let engines write to this memory. Raises ConfigError when it is a GPU's and Mooncake was built without."""
        if landing.device.type != "cpu" and not self._cuda:
            raise ConfigError(
                f"the installed Mooncake does not reach memory on {landing.device}:"
                " install 'bagel-serve[mooncake-cuda]' or 'bagel-serve[mooncake-cuda13]' in its place"
            )
        self._engines.add(landing)

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = check_request(request, digests=self._digests, generations=bool(request.generations))
        Address.parse(request.address)
        if not self._engines.covers(request.into):
            raise TransferRefusedError("the landing memory was not made known to the plane: call prepare first")
        left_s = remaining_s(request, cancelled)
        if self._closed.is_set():
            raise PeerLostError("the mooncake transport is closed")
        if count and not self._engines.knows(request.address):
            self._connect(request, left_s)
        if count:
            Pull(self._engines, request, cancelled, self._closed, digests=self._digests).run()
        return FetchReport(count, count * request.page_bytes, time.monotonic() - started)

    def close(self) -> None:
        self._closed.set()
        self._engines.close()
        if self._served is not None:
            self._served.end(self._closed)
            self._served = None

    def _engine(self) -> Engine:
        return Engine(self._module, self._host, self._protocol, self._device)

    def _connect(self, request: FetchRequest, left_s: float) -> None:
        """Look whether a new holder can be read. Raises PeerLostError or TransferTimeoutError."""
        reason = self._probe(request.address, min(left_s, PROBE_TIMEOUT_S))
        if reason is not None and time.monotonic() >= request.deadline_s:
            raise TransferTimeoutError(f"the deadline passed before the holder had answered: {reason}")
        if reason is not None:
            raise PeerLostError(reason)
        self._engines.start(self._forget_lost, "kv-mooncake-forget")

    def _forget_lost(self) -> None:
        """Where there is a new holder, another may have gone, whatever it answered seconds ago."""
        for address in self._engines.idle():
            if not self._closed.is_set() and self._ask(address, PROBE_TIMEOUT_S) is not None:
                self._engines.forget(address)

    def _probe(self, address: str, timeout_s: float) -> str | None:
        """Why a holder cannot be read, asked anew every few seconds."""
        until_s, reason = self._probed.get(address, (0.0, None))
        if time.monotonic() < until_s:
            return reason
        reason = self._ask(address, timeout_s)
        if len(self._probed) > 64:  # holders come and go
            self._probed.clear()
        self._probed[address] = time.monotonic() + (REACHED_S if reason is None else UNREACHED_S), reason
        return reason

    def _ask(self, address: str, timeout_s: float) -> str | None:
        try:
            target = Address.parse(address)
        except TransferRefusedError as error:
            return str(error)
        if target.protocol != self._protocol:
            return f"{target.peer}: the holder speaks {target.protocol}, this process {self._protocol}"
        if is_literal(target.host) and is_v6(target.host) != is_v6(self._host):
            return (
                f"{target.peer}: Mooncake speaks one IP family a process, and this one is at {self._host}:"
                " give all hosts addresses of the same family"
            )
        return unreachable(target, GENERATIONS_AT + 8 * target.num_pages, timeout_s=timeout_s)
