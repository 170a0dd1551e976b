"""Pictures from users: what is refused before and while decoding, how RGB is made, what an encoded file gives back."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bagel.errors import RequestError
from bagel.images import OUTPUT_MIME_TYPES, digest, encode, open_checked, to_rgb
from bagel.limits import PICTURE_PIXELS

PARAM = "messages[0].content[1].image_url.url"
SCENE = sorted((Path(__file__).parents[1] / "golden" / "inputs").glob("*.png"))[0].read_bytes()


def _saved(image: Image.Image, fmt: str) -> bytes:
    out = io.BytesIO()
    image.save(out, format=fmt)
    return out.getvalue()


SAMPLES = {fmt: _saved(Image.open(io.BytesIO(SCENE)).convert("RGB"), fmt) for fmt in ("PNG", "JPEG", "WEBP")}


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_that_claims(width: int, height: int) -> bytes:
    """A PNG header without the pixels that it claims to have."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + _png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_decoded_whole(fmt: str) -> None:
    image = open_checked(_saved(Image.new("RGB", (37, 21), (200, 10, 90)), fmt), param=PARAM)

    assert (image.width, image.height, image.mode) == (37, 21, "RGB")
    assert all(abs(got - sent) <= 8 for got, sent in zip(image.getpixel((5, 5)), (200, 10, 90), strict=True))


@pytest.mark.parametrize("fmt", ["GIF", "TIFF", "BMP", "PPM"])
def test_other_formats_are_refused(fmt: str) -> None:
    with pytest.raises(RequestError, match="send a whole PNG, JPEG or WebP file") as refused:
        open_checked(_saved(Image.new("RGB", (8, 8)), fmt), param=PARAM)
    assert refused.value.param == PARAM
    assert str(refused.value).startswith(PARAM)


@pytest.mark.parametrize(
    "data", [b"", b"Dear Sir or Madam,", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="cannot be decoded") as refused:
        open_checked(data, param=PARAM)
    assert refused.value.param == PARAM


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_png_is_refused(kept: float) -> None:
    with pytest.raises(RequestError, match="cannot be decoded") as refused:
        open_checked(SCENE[: int(len(SCENE) * kept)], param=PARAM)
    assert refused.value.param == PARAM


@pytest.mark.parametrize("side", [30_000, 20_000, 4_001])
def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    # The file has no such pixels, so whoever tried to decode it would find it truncated instead.
    with pytest.raises(RequestError, match="scale it down") as refused:
        open_checked(_png_that_claims(side, side), param=PARAM)
    assert refused.value.param == PARAM


def test_a_picture_of_the_largest_size_is_not_too_large() -> None:
    assert PICTURE_PIXELS.most == 4000 * 4000
    with pytest.raises(RequestError, match="truncated"):
        open_checked(_png_that_claims(4000, 4000), param=PARAM)


@settings(deadline=None, max_examples=150)
@given(
    fmt=st.sampled_from(["PNG", "JPEG", "WEBP"]), at=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans()
)
def test_a_damaged_file_is_decoded_or_refused_but_breaks_nothing(fmt: str, at: int, value: int, cut: bool) -> None:
    data = bytearray(SAMPLES[fmt])
    data[at % len(data)] = value
    try:
        image = open_checked(bytes(data[: at % len(data)] if cut else data), param=PARAM)
    except RequestError as error:
        named = error.param
    else:
        named = PARAM if image.width * image.height <= PICTURE_PIXELS.most else None
    assert named == PARAM


def test_a_transparent_picture_is_laid_over_white() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))

    assert [to_rgb(image).getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


def test_half_transparency_mixes_with_white() -> None:
    assert to_rgb(Image.new("RGBA", (1, 1), (0, 0, 0, 128))).getpixel((0, 0)) == (127, 127, 127)


def test_a_palette_with_transparency_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 1
    image = open_checked(_saved(image, "PNG"), param=PARAM)

    assert image.mode == "P"
    assert [to_rgb(image).getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


def test_gray_with_alpha_loses_its_alpha_without_being_laid_over_white() -> None:
    assert to_rgb(Image.new("LA", (1, 1), (40, 0))).getpixel((0, 0)) == (40, 40, 40)


def test_gray_becomes_equal_channels() -> None:
    converted = to_rgb(Image.new("L", (3, 2), 77))

    assert (converted.mode, converted.size, converted.getpixel((2, 1))) == ("RGB", (3, 2), (77, 77, 77))


@pytest.mark.parametrize("fmt", sorted(OUTPUT_MIME_TYPES))
def test_an_encoded_picture_comes_back_in_its_size_and_format(fmt: str) -> None:
    image = Image.new("RGB", (48, 80), (30, 160, 220))
    data = encode(image, fmt, quality=90)
    back = open_checked(data, param=PARAM)

    assert back.size == (48, 80)
    assert back.format is not None
    assert OUTPUT_MIME_TYPES[fmt] == f"image/{back.format.lower()}"
    assert all(abs(a - b) <= 6 for a, b in zip(back.getpixel((20, 40)), (30, 160, 220), strict=True))


def test_a_png_keeps_every_pixel() -> None:
    image = to_rgb(open_checked(SCENE, param=PARAM))

    assert open_checked(encode(image, "png"), param=PARAM).tobytes() == image.tobytes()


def test_lower_quality_makes_smaller_files() -> None:
    image = to_rgb(open_checked(SCENE, param=PARAM))

    assert len(encode(image, "jpeg", quality=10)) < len(encode(image, "jpeg"))
    assert len(encode(image, "webp", quality=10)) < len(encode(image, "webp"))


@pytest.mark.parametrize("fmt", ["gif", "PNG", ""])
def test_an_unknown_output_format_is_refused(fmt: str) -> None:
    with pytest.raises(RequestError, match="png, jpeg, webp"):
        encode(Image.new("RGB", (8, 8)), fmt)


def test_a_digest_names_size_and_pixels() -> None:
    wide, high = Image.new("RGB", (4, 2)), Image.new("RGB", (2, 4))
    other = wide.copy()
    other.putpixel((0, 0), (0, 0, 1))

    assert digest(wide) == digest(wide.copy())
    assert len({digest(wide), digest(high), digest(other)}) == 3
