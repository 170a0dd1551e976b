"""Requests that work as they stand against the bundled toy model; tests send every one of them."""

import base64
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PICTURE = Path(__file__).with_name("pages") / "example.png"  # a red circle on white
_PICTURE_URL = f"data:image/png;base64,{base64.b64encode(PICTURE.read_bytes()).decode()}"
_SMALL = {"height": 128, "width": 128, "num_inference_steps": 20, "seed": 42}


def _user(*parts: str | Json) -> list[Json]:
    content: Any = (
        parts[0] if len(parts) == 1 else [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]
    )
    return [{"role": "user", "content": content}]


_PICTURE_PART = {"type": "image_url", "image_url": {"url": _PICTURE_URL}}
_DRAWN = [*_user("A red circle on a white background"), {"role": "assistant", "content": [_PICTURE_PART]}]

CHAT: dict[str, Json] = {
    "A text from a text": {"messages": _user("What is the capital of France?")},
    "A picture from a text": {
        "messages": _user("A red circle on a white background"), "modalities": ["image"], **_SMALL,
    },
    "A text about a picture": {"messages": _user(_PICTURE_PART, "Describe the picture.")},
    "A picture from a picture": {
        "messages": _user(_PICTURE_PART, "Make the circle blue"), "modalities": ["image"],
        "num_inference_steps": 10, "seed": 42,
    },
    "A conversation goes on": {
        "messages": [*_DRAWN, *_user("Now make it blue")], "modalities": ["image"], **_SMALL,
    },
    "A thought, then a picture": {
        "messages": _user("A red circle"), "modalities": ["image"], "think": True, "max_think_tokens": 40, **_SMALL,
    },
    "A text as it is written": {
        "messages": _user("What is the capital of Japan?"), "stream": True, "stream_options": {"include_usage": True},
    },
    "A picture beside the content": {
        "messages": _user("A green tree"), "modalities": ["image"], "image_output": "images", **_SMALL,
    },
}  # fmt: skip
GENERATIONS: dict[str, Json] = {
    "A picture": {"prompt": "A red circle on a white background", "size": "256x256", "quality": "low", "seed": 42},
    "Two pictures by links": {
        "prompt": "A blue car", "n": 2, "size": "128x128", "response_format": "url", "num_inference_steps": 10,
    },
    "Pictures on the way": {
        "prompt": "A green tree", "size": "128x128", "stream": True, "partial_images": 2, "num_inference_steps": 20,
    },
    "Guidance by hand": {
        "prompt": "A yellow house", "negative_prompt": "a red car", "size": "128x128", "num_inference_steps": 10,
        "cfg_text_scale": 5.0, "cfg_interval": [0.2, 1.0], "cfg_renorm_type": "channel", "output_format": "webp",
        "output_compression": 80,
    },
}  # fmt: skip
# Choose a PNG, JPEG or WebP file as `image` beside these.
EDITS: dict[str, Json] = {
    "A change": {"prompt": "Make the circle blue", "num_inference_steps": 10, "seed": 42},
    "A change as a stream": {
        "prompt": "Make the circle green", "num_inference_steps": 10, "stream": True, "partial_images": 1,
    },
}  # fmt: skip
