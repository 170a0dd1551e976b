"""Results in OpenAI's shapes, whole and as stream chunks, with our own figures under `bagel`."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from bagel.images import OUTPUT_MIME_TYPES
from bagel.v1 import thinker_pb2
from services.gateway.happenings import Drawn, ImageResult, TextResult, Waiting
from services.gateway.tasks import Task

Json = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """What of one request goes into its response."""

    request_id: str
    model: str
    task: Task
    created: int = field(default_factory=lambda: int(time.time()))
    started_s: float = field(default_factory=time.monotonic)
    beside: bool = False  # pictures stand beside an empty content, not in it
    queue_s: float = 0.0  # in the gateway

    def completion(self, text: TextResult | None, image: ImageResult | None) -> Json:
        """A `chat.completion`: the text, the picture, or with think first the thought and then the picture."""
        choices = []
        if text is not None:
            choices.append(_choice(0, text.text, text.finish_reason))
        if image is not None:
            part = self.image_part(image.pictures[0])
            if self.beside:
                choices.append(_choice(len(choices), "", "stop", [{**part, "index": 0}]))
            else:
                choices.append(_choice(len(choices), [part], "stop"))
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage(_work(text, image)),
            "bagel": self.figures(text, image),
        }

    def chunk(self, index: int, delta: Json, finish_reason: str | None = None) -> Json:
        """A `chat.completion.chunk` with one choice."""
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return {**self._chunk_head(), "choices": [choice]}

    def usage_chunk(self, text: TextResult | None, image: ImageResult | None) -> Json:
        """The last chunk of a stream that was asked for usage, with our own figures."""
        figures = self.figures(text, image)
        return {**self._chunk_head(), "choices": [], "usage": usage(_work(text, image)), "bagel": figures}

    def image_part(self, image: Drawn) -> Json:
        """A picture as a content part."""
        mime = OUTPUT_MIME_TYPES[self.task.output_format]
        url = f"data:{mime};base64,{base64.b64encode(image.data).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}

    def figures(self, text: TextResult | None, image: ImageResult | None) -> Json:
        """Seed, size, what was computed, seconds, and fields that meant nothing for this task."""
        work = _work(text, image)
        figures: Json = {
            "task": self.task.name,
            "seed": self.task.seed,
            "ignored": list(self.task.ignored),
            "work": {
                "vit_passes": work.vit_passes,
                "vae_passes": work.vae_passes,
                "blocks": work.blocks,
                "planned_blocks": work.planned_blocks,
                "prefill_tokens": work.prefill_tokens,
                "decode_steps": work.decode_steps,
                "page_copies": work.page_copies,
            },
            "timings_s": {
                "total": time.monotonic() - self.started_s,
                "queue": self.queue_s,
                "thinker_queue": work.queue_s,
                "prefill": work.prefill_s,
                "first_token": work.first_token_s,
                "decode": work.decode_s,
            },
        }
        if image is not None:
            _add_picture_figures(figures, image)
        return figures

    def _chunk_head(self) -> Json:
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
        }


def usage(work: thinker_pb2.ThinkerWork) -> Json:
    """Token counts; pictures in the prompt count as their rows."""
    return {
        "prompt_tokens": work.prompt_tokens,
        "completion_tokens": work.completion_tokens,
        "total_tokens": work.prompt_tokens + work.completion_tokens,
    }


def event(data: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def comment(text: str) -> bytes:
    """A server-sent comment, which clients skip."""
    return b": " + text.encode() + b"\n\n"


def place_comment(waiting: Waiting) -> bytes:
    """A request's place in the line, for people who watch the stream."""
    about = "" if waiting.eta_s is None else f", begins in about {max(1, round(waiting.eta_s))} s"
    return comment(f"queued at position {waiting.position + 1}{about}")


DONE = b"data: [DONE]\n\n"


def _choice(index: int, content: str | list[Json], finish_reason: str, images: list[Json] | None = None) -> Json:
    message: Json = {"role": "assistant", "content": content}
    if images is not None:
        message["images"] = images
    return {"index": index, "message": message, "finish_reason": finish_reason, "logprobs": None}


def _work(text: TextResult | None, image: ImageResult | None) -> thinker_pb2.ThinkerWork:
    if image is not None:
        return image.thinker
    assert text is not None
    return text.work


def _add_picture_figures(figures: Json, image: ImageResult) -> None:
    fetched, dit = image.fetched, image.dit
    first = image.pictures[0]
    figures["size"] = {"height": first.height, "width": first.width}
    figures["work"] |= {"forwards": dit.forwards, "steps": dit.steps}
    figures["transfer"] = {
        "transport": fetched.transport,
        "bytes": fetched.bytes,
        "pages": fetched.pages,
        "unique_bytes": image.unique_bytes,
        "unique_pages": image.unique_pages,
        "seconds": fetched.transfer_s,
        "gb_per_s": fetched.bytes / fetched.transfer_s / 1e9 if fetched.transfer_s else 0.0,
        "wait_s": fetched.wait_s,
        "overlap": fetched.overlap,
    }
    figures["timings_s"] |= {
        "transfer": fetched.transfer_s,
        "dit_queue": dit.queue_s,
        "load": dit.load_s,
        "denoise": dit.denoise_s,
        "step": dit.denoise_s / dit.steps if dit.steps else 0.0,
        "preview": dit.preview_s,
        "vae_decode": dit.decode_s,
        "encode": dit.encode_s,
    }
