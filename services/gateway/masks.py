"""OpenAI's edit masks: where the mask is transparent the picture may change, elsewhere it stays as it was.

BAGEL edits whole pictures, so the mask is applied to what it made. Blocking: for a thread.
"""

import io

from PIL import Image

from bagel.errors import RequestError
from bagel.images import encode, open_checked


def check_mask(mask: bytes, picture: bytes) -> None:
    """Raise RequestError unless the mask has an alpha channel and the picture's shape."""
    image, base = open_checked(mask, param="mask"), open_checked(picture, param="image")
    if "A" not in image.getbands():
        raise RequestError("mask: has no alpha channel; make the part to be changed transparent", param="mask")
    if image.size != base.size:
        raise RequestError(f"mask: is {image.size}, the first picture is {base.size}; they must be alike", param="mask")


def keep_unmasked(made: bytes, picture: bytes, mask: bytes, fmt: str, *, quality: int) -> bytes:
    """What was made where the mask is transparent, the first picture elsewhere; in the size of what was made."""
    new = Image.open(io.BytesIO(made)).convert("RGB")
    old = Image.open(io.BytesIO(picture)).convert("RGB").resize(new.size, Image.Resampling.BICUBIC)
    opaque = Image.open(io.BytesIO(mask)).getchannel("A").resize(new.size, Image.Resampling.BILINEAR)
    return encode(Image.composite(old, new, opaque), fmt, quality=quality)
