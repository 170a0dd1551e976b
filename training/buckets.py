"""Which pictures the corpus holds: sizes and how many of each, and how often training visits them."""

from dataclasses import dataclass

CHUNK = 500  # pictures that one worker renders at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Pictures of one size: `scenes` to draw, `edits` as before/after pairs, `views` for questions alone.

    Where there are no views, questions are about the scenes. `share` of the steps visits the bucket.
    """

    width: int
    height: int
    scenes: int
    edits: int
    share: float
    views: int = 0

    @property
    def name(self) -> str:
        """As in `384x256`."""
        return f"{self.width}x{self.height}"

    @property
    def tokens(self) -> int:
        """Latent tokens of a picture, 16 x 16 pixels each."""
        return self.width * self.height // 256


BASE = Bucket(width=256, height=256, scenes=60_000, edits=34_000, views=90_000, share=0.72)
BUCKETS = (
    BASE,
    Bucket(width=128, height=128, scenes=6_000, edits=1_000, share=0.04),
    Bucket(width=320, height=192, scenes=3_000, edits=500, share=0.04),
    Bucket(width=192, height=320, scenes=3_000, edits=500, share=0.04),
    Bucket(width=384, height=256, scenes=2_000, edits=500, share=0.03),
    Bucket(width=512, height=512, scenes=3_500, edits=1_000, share=0.09),
    Bucket(width=512, height=384, scenes=2_000, edits=500, share=0.03),
    Bucket(width=768, height=768, scenes=500, edits=0, share=0.01),
)
TEXTS = 24_000
