"""Pictures in and out: checking, RGB conversion, the resize rule, encoding. Pillow only, no torch.

Rules: golden README, section 6.
"""

import hashlib
import io
import warnings

from PIL import Image, UnidentifiedImageError

from bagel.config import ResizeRule
from bagel.errors import RequestError
from bagel.limits import PICTURE_PIXELS

INPUT_FORMATS = ("PNG", "JPEG", "WEBP")
OUTPUT_MIME_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_OPAQUE_WHITE = (255, 255, 255)


def open_checked(data: bytes, *, param: str) -> Image.Image:
    """Decode an encoded picture from a user. Blocking; takes CPU time.

    Formats and size are checked before a pixel is decoded. Raises RequestError naming `param`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=INPUT_FORMATS)
            if image.width * image.height > PICTURE_PIXELS.most:
                raise RequestError(
                    f"{param}: the picture has {image.width} x {image.height} pixels; at most"
                    f" {PICTURE_PIXELS.most} in all are taken: scale it down",
                    param=param,
                )
            image.load()
    except Image.DecompressionBombError as error:
        raise RequestError(f"{param}: the picture is too large: scale it down", param=param) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise RequestError(
            f"{param}: the picture cannot be decoded ({error}); send a whole PNG, JPEG or WebP file", param=param
        ) from error
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB as the official model makes it: transparency over white, gray+alpha merely converted, EXIF ignored."""
    if image.mode == "RGBA" or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, _OPAQUE_WHITE)
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def resized_size(width: int, height: int, rule: ResizeRule) -> tuple[int, int]:
    """(width, height) in pixels after the resize rule."""
    scale = min(rule.max_side / max(width, height), 1.0)
    scale = max(scale, rule.min_side / min(width, height))
    width, height = _scaled(width, height, scale, rule.stride)
    if width * height > rule.max_pixels:
        # The area ratio, applied to both sides, as the official code does.
        width, height = _scaled(width, height, rule.max_pixels / (width * height), rule.stride)
    if max(width, height) > rule.max_side:
        width, height = _scaled(width, height, rule.max_side / max(width, height), rule.stride)
    return width, height


def resize(image: Image.Image, rule: ResizeRule) -> Image.Image:
    """One bicubic resize to the rule's size."""
    return image.resize(resized_size(image.width, image.height, rule), Image.Resampling.BICUBIC)


def digest(image: Image.Image) -> bytes:
    """SHA-256 of size and pixels of an RGB picture; names its content."""
    h = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    h.update(image.tobytes())
    return h.digest()


def encode(image: Image.Image, fmt: str, *, quality: int = 95) -> bytes:
    """Encode as png, jpeg or webp. Blocking; takes CPU time."""
    out = io.BytesIO()
    match fmt:
        case "png":
            image.save(out, format="PNG", compress_level=4)
        case "jpeg":
            image.save(out, format="JPEG", quality=quality)
        case "webp":
            image.save(out, format="WEBP", quality=quality)
        case _:
            raise RequestError(f"output_format {fmt!r} is not known; take {', '.join(OUTPUT_MIME_TYPES)}")
    return out.getvalue()


def _scaled(width: int, height: int, scale: float, stride: int) -> tuple[int, int]:
    return _to_stride(round(width * scale), stride), _to_stride(round(height * scale), stride)


def _to_stride(side: int, stride: int) -> int:
    return max(stride, round(side / stride) * stride)
