"""One context's pages on their way here: where each lands, what has come, and when their memory is free again."""

import asyncio
import threading
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from bagel import wire
from bagel.errors import DeadlineError, IncompleteContextError, OverloadedError
from bagel.kv_layout import pages_of
from bagel.model.device import finish_work
from bagel.v1 import kv_pb2
from bagel.waiting import finish, settle
from transport.base import AttachedPool, DataPlane, Endpoint, FetchRequest, Region, page_copies
from transport.errors import TransferCorruptError, TransportError
from transport.landing import Landing
from transport.reading import check_all_digests

QUARANTINE_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReport:
    """What one context cost to bring here. `wait_s` is from its seal to its last byte."""

    transport: str
    unique_bytes: int
    moved_bytes: int
    pages: int
    seconds: float
    wait_s: float
    overlap: float  # part of the moved bytes that had come when the context was sealed


class LandingMemory:
    """A DiT's memory for pages, shared by its pulls. Places are given out first come, first served."""

    def __init__(self, region: Region, page_bytes: int) -> None:
        self.region = region
        self.places = Landing(region.num_bytes // page_bytes)
        self.moved_bytes = 0  # since the start
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    async def reserve(self, count: int) -> list[int]:
        """Wait for places; all of them at once, so that no two pulls wait for each other. Raises OverloadedError."""
        if count > self.places.num_places:
            raise OverloadedError(
                f"the context may have {count} pages, this DiT has room for {self.places.num_places}:"
                " raise its --kv-pool-tokens"
            )
        async with self._turn:
            while (places := self.places.reserve(count)) is None:
                self._freed.clear()
                # A quarantine ends without a word.
                patience_s = QUARANTINE_POLL_S if self.places.quarantined_places else None
                try:
                    async with asyncio.timeout(patience_s):
                        await self._freed.wait()
                except TimeoutError:
                    continue
        return places

    def give_back(self, places: list[int], unsettled: list[threading.Event]) -> None:
        """Places that are not used any more, or may still be written to."""
        if unsettled:
            self.places.quarantine(places, unsettled)
        else:
            self.places.free(places)
        self._freed.set()


class Pull:
    """The pages of one context. Event loop only; fetching itself runs in threads."""

    def __init__(
        self,
        plane: DataPlane,
        endpoint: Endpoint,
        epoch: int,
        page_bytes: int,
        landing: LandingMemory,
        deadline_s: float,
    ) -> None:
        self.plane, self._endpoint, self._epoch = plane, endpoint, epoch
        self._page_bytes, self._landing, self._deadline_s = page_bytes, landing, deadline_s
        self.token = b""
        self.places: dict[int, int] = {}  # page of the holder -> place here
        self.attached: AttachedPool | None = None
        self._generations: dict[int, int] = {}
        self._reserved: list[int] = []
        self._unsettled: list[threading.Event] = []
        self._moved_bytes, self._moved_before_seal, self._seconds = 0, 0, 0.0
        self._sealed_at = self._complete_at = 0.0

    @property
    def memory(self) -> Tensor:
        """[places * page bytes] uint8: what `places` index into."""
        return self._landing.region.tensor if self.attached is None else self.attached.pages

    async def reserve(self, count: int) -> None:
        """Set places aside for at most so many pages, unless pages are looked at where they lie."""
        if self.plane.capabilities.zero_copy:
            return
        try:
            async with asyncio.timeout(max(0.0, self._deadline_s - time.monotonic())):
                self._reserved = await self._landing.reserve(count)
        except TimeoutError:
            raise DeadlineError("the deadline passed while the DiT had no room for the context's pages") from None

    async def group(self, ready: kv_pb2.PagesReady) -> None:
        """Bring announced pages here. Raises IncompleteContextError, TransportError."""
        pages = pages_of(wire.runs_from_proto(ready.runs))
        if len(set(pages)) < len(pages) or not self.places.keys().isdisjoint(pages):
            raise IncompleteContextError("the holder announced a page twice")
        if len(ready.generations) != len(pages):
            raise IncompleteContextError(f"{len(ready.generations)} generations were announced for {len(pages)} pages")
        if self.plane.capabilities.zero_copy:
            await self._look_at(pages, ready)
        else:
            await self._land(pages, ready)
        self._generations.update(zip(pages, ready.generations, strict=True))

    def note_sealed(self) -> None:
        """The context is sealed: from now on the request waits for bytes alone."""
        self._sealed_at, self._moved_before_seal = time.monotonic(), self._moved_bytes

    def note_complete(self) -> None:
        """Every announced page is here."""
        self._complete_at = time.monotonic()

    def check(self) -> None:
        """Raise LeaseEndedError when a page that was looked at where it lies was given back meanwhile."""
        if self.attached is not None:
            self.attached.check(list(self._generations), list(self._generations.values()))

    def report(self) -> PullReport:
        """What it cost so far."""
        return PullReport(
            transport=self.plane.capabilities.name,
            unique_bytes=len(self.places) * self._page_bytes,
            moved_bytes=self._moved_bytes,
            pages=len(self.places),
            seconds=self._seconds,
            wait_s=max(0.0, self._complete_at - self._sealed_at),
            overlap=self._moved_before_seal / self._moved_bytes if self._moved_bytes else 0.0,
        )

    def release(self) -> None:
        """The pages are not used any more."""
        if self._reserved:
            self._landing.give_back(self._reserved, self._unsettled)
            self._reserved = []

    async def _look_at(self, pages: list[int], ready: kv_pb2.PagesReady) -> None:
        if self.attached is None:
            started, request = time.monotonic(), self._request([], [], kv_pb2.PagesReady())
            self.attached = await finish(asyncio.ensure_future(asyncio.to_thread(self.plane.attach, request)))
            self._seconds += time.monotonic() - started
        assert self.attached is not None
        self.attached.check(pages, ready.generations)
        if self.plane.capabilities.digests:
            hashed = self._request(pages, pages, ready)
            await finish(asyncio.ensure_future(asyncio.to_thread(check_all_digests, hashed, self.attached.pages)))
        self.places.update(zip(pages, pages, strict=True))

    async def _land(self, pages: list[int], ready: kv_pb2.PagesReady) -> None:
        first = len(self.places)
        places = self._reserved[first : first + len(pages)]
        if len(places) < len(pages):
            raise IncompleteContextError(
                f"more than {len(self._reserved)} pages were announced, which is the most that the handle allows"
            )
        started = time.monotonic()
        if ready.inline:
            self._unpack(ready.inline, places)
        elif pages:
            request = self._request(pages, places, ready)
            await self._in_thread(request)
        self._seconds += time.monotonic() - started
        self._moved_bytes += len(pages) * self._page_bytes
        self._landing.moved_bytes += len(pages) * self._page_bytes
        self.places.update(zip(pages, places, strict=True))

    def _unpack(self, inline: bytes, places: list[int]) -> None:
        if len(inline) != len(places) * self._page_bytes:
            raise TransferCorruptError(f"{len(inline)} B came for {len(places)} pages of {self._page_bytes} B")
        landing = self._landing.region.tensor.view(-1, self._page_bytes)
        landing[places] = (
            torch.frombuffer(bytearray(inline), dtype=torch.uint8).view(-1, self._page_bytes).to(landing.device)
        )
        finish_work(landing.device)

    def _request(self, pages: list[int], places: list[int], ready: kv_pb2.PagesReady) -> FetchRequest:
        return FetchRequest(
            address=self._endpoint.address,
            epoch=self._epoch,
            token=self.token,
            copies=page_copies(pages, places),
            digests=list(ready.digests),
            generations=list(ready.generations),
            page_bytes=self._page_bytes,
            into=self._landing.region,
            deadline_s=self._deadline_s,
        )

    async def _in_thread(self, request: FetchRequest) -> None:
        """Run the blocking fetch; when this task is cancelled, stop it and wait until it has returned."""
        cancelled = threading.Event()

        def fetch() -> None:
            try:
                self.plane.fetch(request, cancelled)
            except TransportError as error:
                if error.settled is not None:
                    self._unsettled.append(error.settled)
                raise

        waiting = asyncio.create_task(finish(asyncio.ensure_future(asyncio.to_thread(fetch))))
        try:
            await asyncio.shield(waiting)
        finally:
            cancelled.set()
            await settle(waiting)
