"""Pictures that are meant to hurt: large when decoded, broken, or something else in disguise. All of them are small."""

import io
import struct
import zlib

from PIL import Image


def png(width: int = 40, height: int = 24, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, format="PNG")
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a size, its pixels nothing but zeros, as small as such a file gets."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 1) * height), 9) if width * height < 1 << 28 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def with_text_bomb() -> bytes:
    whole, texts = png(), chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(200 << 20), 9))
    return whole[:33] + texts + whole[33:]


BOMBS = {
    "1e9 pixels": bomb(31623, 31623),
    "160 Mpx of 156 kB": bomb(12650, 12650),
    "200 MiB of zTXt": with_text_bomb(),
    "truncated": png(200, 200)[:-30],
    "a script in front": b"#!/bin/sh\nexit\n" + png(),
    "a page": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a canvas of WebP": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\x3f\0\xff\x3f\0",
    "nothing": b"",
}
