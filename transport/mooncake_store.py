"""Pages through Mooncake's store: the holder puts copies of what it publishes there, readers get them by key.

For deployments that have the store already. Every page is copied twice more than over the Transfer Engine, and whoever
reaches the servers reads and writes everything, so this plane is not secure. A key names the holder's life, a page and
its generation; lengths and digests are checked before a byte lands, and a late byte lands nowhere.
"""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from bagel.errors import ConfigError
from transport.base import Capabilities, Endpoint, FetchReport, FetchRequest, Region
from transport.errors import LeaseEndedError, PeerLostError, StaleEpochError, TransferRefusedError
from transport.holder import Holder
from transport.mooncake_engine import check_device
from transport.mooncake_environment import advertise, check_host, check_protocol, prepare
from transport.mooncake_install import load
from transport.mooncake_store_address import StoreAddress
from transport.mooncake_store_client import READ_SHARE, ClientEndedError, Native, StoreClient, StoreSettings
from transport.mooncake_store_mirror import Mirror, tell_progress
from transport.mooncake_store_pull import StorePull
from transport.reading import check_request, remaining_s

CAPABILITIES = Capabilities(name="mooncake_store", secure=False)
MASTER, METADATA_SERVER = "127.0.0.1:50051", "http://127.0.0.1:8080/metadata"
SEGMENT_BYTES, BUFFER_BYTES = 512_000_000, 64_000_000
ROOM = 1.05  # of a segment, for what the store's allocator rounds up
PROBE_TIMEOUT_S = 2.0
JOIN_S = 20.0
CLOSE_PATIENCE_S = 8.0


class MooncakeStorePlane:
    """`DataPlane` and `KeepsCopies` over Mooncake's store. `host` is where others reach this one.

    `segment_bytes` are lent to the store by a holder, and have to hold its whole pool; `buffer_bytes` are what reads go
    through. Raises ConfigError as `MooncakePlane` does. Without `digests` nothing is hashed: for measurements alone.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        master: str = MASTER,
        metadata_server: str = METADATA_SERVER,
        protocol: str = "tcp",
        device: str = "",
        segment_bytes: int = SEGMENT_BYTES,
        buffer_bytes: int = BUFFER_BYTES,
        digests: bool = True,
    ) -> None:
        host, spoken = check_host(host), check_protocol(protocol)
        check_device(spoken, device)
        prepare(host, spoken)
        advertise(host)
        self._module, self._digests = load("store"), digests
        self._settings = StoreSettings(
            host=host, master=master, metadata_server=metadata_server, protocol=spoken, device=device,
            segment_bytes=segment_bytes, buffer_bytes=buffer_bytes,
        )  # fmt: skip
        self._holding: tuple[StoreClient, Mirror] | None = None
        self._reading: StoreClient | None = None
        self._ending: list[threading.Thread] = []
        self._closed, self._lock = False, threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, digests=self._digests)

    def serve(self, holder: Holder) -> Endpoint:
        layout, pages = holder.pool.layout, holder.pool.host
        needed = int(layout.num_bytes * ROOM)
        if self._settings.segment_bytes < needed:
            raise ConfigError(
                f"the pool's copies need {needed} B of Mooncake's store and the segment has"
                f" {self._settings.segment_bytes}: raise `segment`, or lower --kv-pool-tokens"
            )
        address = StoreAddress(
            self._settings.master, secrets.token_hex(8), layout.epoch, layout.num_pages, self._settings.metadata_server
        )
        client = StoreClient(self._module, self._settings)

        def join(native: Native) -> int:
            tell_progress(native, client.module, address, 0)
            return int(native.register_buffer(pages.data_ptr(), pages.numel()))

        try:
            code = client.call(join, patience_s=JOIN_S, left_s=lambda: JOIN_S)
        except PeerLostError as error:
            raise ConfigError(str(error)) from error
        if code != 0:
            raise ConfigError(f"Mooncake's store refuses the pool's {pages.numel()} B of memory (error {code})")
        self._holding = client, Mirror(holder.pool, client, address)
        return Endpoint(CAPABILITIES.name, str(address), CAPABILITIES.secure)

    def refresh(self, published: Sequence[int]) -> None:
        if self._holding is not None:
            self._holding[1].refresh(published)

    def unreachable(self, address: str) -> str | None:
        try:
            StoreAddress.parse(address)
            host, _, port = self._settings.master.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT_S).close()
        except TransferRefusedError as error:
            return str(error)
        except OSError as error:
            return f"the master of Mooncake's store at {self._settings.master}: {error.strerror or error}"
        return None

    def attach(self, request: FetchRequest) -> None:
        del request

    def prepare(self, landing: Region) -> None:
        """Any memory will do."""

    def fetch(self, request: FetchRequest, cancelled: threading.Event) -> FetchReport:
        started = time.monotonic()
        count = check_request(request, digests=self._digests, generations=True)
        self._check(request)
        remaining_s(request, cancelled)
        room = int(self._settings.buffer_bytes * READ_SHARE)
        if room < request.page_bytes:
            raise TransferRefusedError(
                f"a page of {request.page_bytes} B needs {int(request.page_bytes / READ_SHARE)} B of memory that reads"
                f" from Mooncake's store go through, there are {self._settings.buffer_bytes}: raise `localbuf`"
            )
        if count:
            self._pull(request, cancelled, room // request.page_bytes)
        return FetchReport(count, count * request.page_bytes, time.monotonic() - started)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            reading, self._reading = self._reading, None
            holding, self._holding = self._holding, None
        if reading is not None:
            reading.end()
        if holding is not None:
            client, mirror = holding
            mirror.stop()
            client.end()
        for thread in self._ending:
            thread.join(CLOSE_PATIENCE_S)

    def _check(self, request: FetchRequest) -> None:
        """Raises StaleEpochError, LeaseEndedError or TransferRefusedError for what the store does not have anyway."""
        target = StoreAddress.parse(request.address)
        if target.epoch != request.epoch:
            raise StaleEpochError(f"the handle is of epoch {request.epoch}, the holder lived in {target.epoch}")
        last = max((copy.page + copy.count - 1 for copy in request.copies), default=0)
        if last >= target.num_pages:
            raise TransferRefusedError(f"page {last} lies beyond the holder's {target.num_pages} pages")
        if 0 in request.generations:
            raise LeaseEndedError("a page was given back before it had been read")

    def _pull(self, request: FetchRequest, cancelled: threading.Event, at_once: int) -> None:
        """Raises TransportError. A transfer whose client was replaced, for another one's holder, begins again."""
        client = self._client()
        try:
            StorePull(client, request, cancelled, digests=self._digests, pages_at_once=at_once).run()
        except ClientEndedError:
            self._pull(request, cancelled, at_once)
        except PeerLostError:
            self._start(lambda: self._replace(client))
            raise

    def _client(self) -> StoreClient:
        with self._lock:
            if self._closed:
                raise PeerLostError("the mooncake_store transport is closed")
            if self._reading is None:
                self._reading = StoreClient(self._module, replace(self._settings, segment_bytes=0))
            return self._reading

    def _replace(self, client: StoreClient) -> None:
        """Read with another client: one that a holder failed may still write to its own memory.

        Not if it was the master that failed: that one's clients find it again, and are hard to close meanwhile.
        """
        if client.answers():
            with self._lock:
                if self._reading is client:
                    self._reading = None
            client.end()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="kv-mooncake-store-end", daemon=True)
        with self._lock:
            self._ending = [*(one for one in self._ending if one.is_alive()), thread]
        thread.start()
