"""The request bodies that BAGEL users already have, word for word but an edit of fewer steps, read as they do."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.e2e.server import Server, read_picture, read_text, scene


def jpeg_url() -> str:
    """Like the documented client: any file is labelled a JPEG."""
    out = io.BytesIO()
    scene(300, 200).save(out, format="PNG")
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


TEXT2IMG = {
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "<|im_start|>A beautiful sunset over mountains<|im_end|>"}],
        }
    ],
    "modalities": ["image"], "height": 512, "width": 512, "num_inference_steps": 50, "seed": 42,
}  # fmt: skip
IMG2IMG = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<|im_start|>Make the cat stand up<|im_end|>"},
                {"type": "image_url", "image_url": {"url": jpeg_url()}},
            ],
        }
    ],
    "modalities": ["image"], "height": 512, "width": 512, "num_inference_steps": 10, "seed": 42,
}  # fmt: skip
IMG2TEXT = {
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "<|im_start|>user\n<|image_pad|>\nDescribe this image in detail<|im_end|>\n"
                    "<|im_start|>assistant\n",
                },
                {"type": "image_url", "image_url": {"url": jpeg_url()}},
            ],
        }
    ],
    "modalities": ["text"],
}
TEXT2TEXT = {
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
                }
            ],
        }
    ],
    "modalities": ["text"],
}


@pytest.mark.parametrize("body", [TEXT2IMG, IMG2IMG], ids=["text2img", "img2img"])
def test_a_documented_picture_request_gives_a_picture_of_the_size_asked_for(
    default_server: Server, body: dict[str, Any]
) -> None:
    image = Image.open(io.BytesIO(read_picture(default_server.answer(**body))))
    assert image.size == (512, 512)
    assert image.format == "PNG"


@pytest.mark.parametrize("body", [IMG2TEXT, TEXT2TEXT], ids=["img2text", "text2text"])
def test_a_documented_text_request_gives_text(default_server: Server, body: dict[str, Any]) -> None:
    answer = default_server.answer(**body)
    assert read_text(answer)
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (TEXT2TEXT, "What is the capital of France?"),
        (IMG2TEXT, "Describe this image in detail"),
    ],
    ids=["text2text", "img2text"],
)
def test_a_raw_prompt_means_the_same_as_the_plain_message(server: Server, raw: dict[str, Any], plain: str) -> None:
    parts = [part for part in raw["messages"][0]["content"] if part["type"] == "image_url"]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": plain}]}]
    ours = server.answer(messages=messages, max_tokens=24)
    theirs = server.answer(**{**raw, "max_tokens": 24})
    assert read_text(ours) == read_text(theirs)
    assert ours["usage"] == theirs["usage"]
