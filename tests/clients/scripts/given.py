"""What a script is given, and how it says what it found. Standard library alone: it runs in every client's environment.

    python SCRIPT BASE_URL FOLDER [KEY]

The folder holds scene.png (96 x 64), other.png (64 x 64) and mask.png (96 x 64, its right half transparent).
"""

import base64
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

URL = sys.argv[1]
FOLDER = Path(sys.argv[2])
KEY = sys.argv[3] if len(sys.argv) > 3 else "none"
SCENE = (FOLDER / "scene.png").read_bytes()
OTHER = (FOLDER / "other.png").read_bytes()
MASK = (FOLDER / "mask.png").read_bytes()
# Pictures small enough for a CPU; BAGEL's own settings, which clients pass on as extra fields.
QUICK = {"num_inference_steps": 6, "seed": 5}


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of what must be a PNG."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n"), data[:16]
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def part(png: bytes) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(png).decode()}}


def picture_of(found: dict[str, Any]) -> bytes:
    """The picture of such a part."""
    head, data = found["image_url"]["url"].split(",", 1)
    assert head == "data:image/png;base64", head
    return base64.b64decode(data)


def raised(kind: type[Exception], call: Callable[[], object]) -> Any:
    """The exception of this very class or one under it that a call must raise."""
    try:
        answer = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}, but {str(answer)[:400]}")


def report(**facts: object) -> None:
    """The last line of a script."""
    print(json.dumps(facts))
