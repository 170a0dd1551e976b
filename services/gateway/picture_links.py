"""Pictures that clients asked to get by URL: kept in memory for a while, under links that only this gateway signs."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

from bagel.limits import LINK_S, LINKED_BYTES


@dataclass(frozen=True, slots=True)
class _Kept:
    data: bytes
    mime: str
    until_s: float


class PictureLinks:
    """Bounded in bytes and time: the oldest pictures go first. Links do not outlive the process."""

    def __init__(self, *, lifetime_s: float = LINK_S.most, max_bytes: int = LINKED_BYTES.most) -> None:
        self._lifetime_s, self._max_bytes = lifetime_s, max_bytes
        self._secret = secrets.token_bytes(32)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, data: bytes, mime: str) -> str:
        """Keep a picture; the path of its link."""
        name, until_s = secrets.token_urlsafe(16), time.time() + self._lifetime_s
        self._kept[name] = _Kept(data, mime, until_s)
        self._bytes += len(data)
        self._drop()
        return f"/v1/pictures/{name}?until={int(until_s)}&signature={self._signature(name, int(until_s))}"

    def find(self, name: str, until: str, signature: str) -> tuple[bytes, str] | None:
        """The picture and its MIME type, when the link is genuine, not over, and the picture still kept."""
        self._drop()
        if not until.isdigit() or not hmac.compare_digest(self._signature(name, int(until)), signature):
            return None
        kept = self._kept.get(name)
        return None if kept is None or int(until) < time.time() else (kept.data, kept.mime)

    def _signature(self, name: str, until: int) -> str:
        return hmac.new(self._secret, f"{name}.{until}".encode(), hashlib.sha256).hexdigest()

    def _drop(self) -> None:
        now = time.time()
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.until_s > now and self._bytes <= self._max_bytes:
                return
            self._kept.popitem(last=False)
            self._bytes -= len(oldest.data)
