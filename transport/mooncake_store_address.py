"""Where a holder's copies lie in a store: which servers, and what its keys begin with."""

import re
from dataclasses import dataclass

from transport.errors import TransferRefusedError

_ADDRESS = re.compile(r"mooncake_store://([^/?]+)/(bagel-[0-9a-f]{16}-(\d{1,20})-(\d{1,10}))\?metadata=(.+)")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """`mooncake_store://master/prefix?metadata=server`; the prefix ends with the holder's epoch and pages."""

    master: str
    name: str  # 16 hexadecimal digits, new with each life of a holder
    epoch: int
    num_pages: int
    metadata_server: str

    def __str__(self) -> str:
        return f"mooncake_store://{self.master}/{self.prefix}?metadata={self.metadata_server}"

    @property
    def prefix(self) -> str:
        """What the keys of this life of the holder begin with."""
        return f"bagel-{self.name}-{self.epoch}-{self.num_pages}"

    @property
    def progress_key(self) -> str:
        """Where the highest generation that was copied is told, in decimal."""
        return f"{self.prefix}/progress"

    def page_key(self, page: int, generation: int) -> str:
        """Where a publication of a page lies."""
        return f"{self.prefix}/{page}/{generation}"

    @classmethod
    def parse(cls, text: str) -> "StoreAddress":
        """Raises TransferRefusedError when it is none."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise TransferRefusedError(f"{text!r} is no address of a holder in Mooncake's store")
        return cls(match[1], match[2].split("-")[1], int(match[3]), int(match[4]), match[5])
