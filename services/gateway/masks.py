"""OpenAI's edit masks: where the mask is transparent the picture may change, elsewhere it stays as it was.

BAGEL edits whole pictures, so the mask is applied to what it made.
"""

import io

from PIL import Image

from bagel.errors import RequestError
from bagel.images import encode
from services.gateway.decoding import PictureInfo


def check_mask(mask: PictureInfo, picture: PictureInfo) -> None:
    """Raise RequestError unless the mask has an alpha channel and the picture's shape."""
    if "A" not in mask.bands:
        raise RequestError("mask: has no alpha channel; make the part to be changed transparent", param="mask")
    size, wanted = (mask.width, mask.height), (picture.width, picture.height)
    if size != wanted:
        raise RequestError(f"mask: is {size}, the first picture is {wanted}; they must be alike", param="mask")


def keep_unmasked(made: bytes, picture: bytes, mask: bytes, fmt: str, *, quality: int) -> bytes:
    """What was made where the mask is transparent, the first picture elsewhere; in the size of what was made.

    Blocking: for a thread. The pictures were looked at before.
    """
    new = Image.open(io.BytesIO(made)).convert("RGB")
    old = Image.open(io.BytesIO(picture)).convert("RGB").resize(new.size, Image.Resampling.BICUBIC)
    opaque = Image.open(io.BytesIO(mask)).getchannel("A").resize(new.size, Image.Resampling.BILINEAR)
    return encode(Image.composite(old, new, opaque), fmt, quality=quality)
