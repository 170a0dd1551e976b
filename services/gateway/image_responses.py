"""Pictures in the shapes of OpenAI's images endpoints, whole and as events of a stream."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bagel.images import OUTPUT_MIME_TYPES
from services.gateway.happenings import Drawn, ImageResult, Preview, TextResult
from services.gateway.image_schemas import ImageRequest
from services.gateway.responses import Answer, Json

Link = Callable[[bytes, str], str]  # picture and MIME type -> URL


@dataclass(slots=True)
class ImageAnswer:
    """What of one request goes into its response. `kind` is `image_generation` or `image_edit`."""

    request: ImageRequest
    answer: Answer
    kind: str
    link: Link
    created: int = field(default_factory=lambda: int(time.time()))

    def body(self, text: TextResult | None, image: ImageResult) -> Json:
        """The whole response; a thought stands as every picture's revised prompt."""
        data = [self._entry(picture, text) for picture in image.pictures]
        usage = self._usage(image)
        return {**self._head(image.pictures[0]), "created": self.created, "data": data, "usage": usage,
                "bagel": self.answer.figures(text, image)}  # fmt: skip

    def partial(self, preview: Preview) -> bytes:
        """A picture on the way."""
        body = {
            **self._head(preview),
            "type": f"{self.kind}.partial_image",
            "b64_json": base64.b64encode(preview.data).decode(),
            "created_at": self.created,
            "partial_image_index": preview.index,
            "image_index": preview.picture,
        }
        return named_event(body)

    def completed(self, picture: Drawn, text: TextResult | None, image: ImageResult) -> bytes:
        """A finished picture, with its seed and its thought."""
        body = {
            **self._head(picture),
            "type": f"{self.kind}.completed",
            **self._entry(picture, text),
            "created_at": self.created,
            "image_index": picture.index,
            "usage": self._usage(image),
            "bagel": self.answer.figures(text, image),
        }
        return named_event(body)

    def _head(self, picture: Drawn | Preview) -> Json:
        return {
            "background": "opaque",
            "output_format": self.request.output_format,
            "quality": self.request.quality,
            "size": f"{picture.width}x{picture.height}",
        }

    def _entry(self, picture: Drawn, text: TextResult | None) -> Json:
        entry: Json = {**self._content(picture), "seed": picture.seed}
        return entry if text is None else {**entry, "revised_prompt": text.text}

    def _content(self, picture: Drawn) -> Json:
        if self.request.response_format == "url":
            return {"url": self.link(picture.data, OUTPUT_MIME_TYPES[self.request.output_format])}
        return {"b64_json": base64.b64encode(picture.data).decode()}

    def _usage(self, image: ImageResult) -> Json:
        """Tokens of the context in, and of the pictures out: a thought's and one a latent."""
        work = image.thinker
        made = work.completion_tokens
        return {
            "input_tokens": work.prompt_tokens,
            "output_tokens": made,
            "total_tokens": work.prompt_tokens + made,
            "input_tokens_details": {"text_tokens": work.prompt_tokens, "image_tokens": 0},
        }


def named_event(body: dict[str, Any]) -> bytes:
    """One server-sent event with its type as its name."""
    return f"event: {body['type']}\n".encode() + b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
