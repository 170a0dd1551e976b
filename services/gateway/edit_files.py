"""What an edit brings along: pictures under their fields' names, and a mask. Looked at before, applied afterwards."""

import asyncio
from dataclasses import dataclass, replace

from services.gateway.decoding import DecodingPool
from services.gateway.happenings import Drawn
from services.gateway.masks import check_mask, keep_unmasked
from services.gateway.tasks import Task


@dataclass(frozen=True, slots=True)
class SentPicture:
    """An encoded picture, and the field it came in."""

    param: str
    data: bytes


@dataclass(frozen=True, slots=True)
class EditFiles:
    """In order; with a mask there is at least one picture."""

    pictures: tuple[SentPicture, ...] = ()
    mask: SentPicture | None = None

    async def check(self, decoding: DecodingPool) -> None:
        """Refuse pictures that do not decode, and a mask that does not fit. Raises RequestError naming the field."""
        found = await decoding.check([(picture.param, picture.data) for picture in self.pictures])
        if self.mask is not None:
            (mask,) = await decoding.check([(self.mask.param, self.mask.data)])
            check_mask(mask, found[0])

    async def masked(self, drawn: Drawn, task: Task) -> Drawn:
        """What was drawn, with the first picture where the mask covers it."""
        if self.mask is None:
            return drawn
        data = await asyncio.to_thread(
            keep_unmasked, drawn.data, self.pictures[0].data, self.mask.data, task.output_format, quality=task.quality
        )
        return replace(drawn, data=data)
