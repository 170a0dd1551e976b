"""Pictures on the way: after which steps, and how large."""

from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from bagel.model.flow import Step

DEFAULT_SIDE_PX = 256
FIRST, LAST = 0.3, 0.9  # of the steps: early enough to help, late enough to show something


@dataclass(frozen=True, slots=True)
class PreviewSettings:
    """How many a picture gets, and the longest side of each in pixels."""

    count: int = 0
    max_side_px: int = DEFAULT_SIDE_PX

    def steps(self, total: int) -> frozenset[int]:
        """Steps done, 1 to `total - 1`, after which a preview is made. Fewer where there are few steps."""
        if self.count == 0 or total < 2:
            return frozenset()
        gap = (LAST - FIRST) / max(1, self.count - 1)
        return frozenset(min(total - 1, max(1, round(total * (FIRST + gap * i)))) for i in range(self.count))


def estimate(step: Step) -> Tensor:
    """Where the picture's latents [m, C] would end if the velocity stayed as it is: x - t v."""
    return step.x - step.t * step.velocity


def shrink(image: Image.Image, max_side_px: int) -> Image.Image:
    """The picture, or a smaller one whose longest side is `max_side_px`."""
    scale = max_side_px / max(image.size)
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)
