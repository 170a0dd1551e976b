"""What answers look like, for the API's description. Tests hold real answers against it; nothing is made from it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.gateway.schemas import PictureFormat


class AnswerModel(BaseModel):
    """Says all that is there."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ErrorDetail(AnswerModel):
    """OpenAI's error object."""

    message: str
    """What was wrong and what to do."""
    type: Literal["invalid_request_error", "rate_limit_error", "timeout_error", "server_error", "client_error"]
    param: str | None
    """The field at fault, like `messages[0].content[1].image_url.url`."""
    code: str | None


class ErrorBody(AnswerModel):
    """Every error."""

    error: ErrorDetail


class PictureUrl(AnswerModel):
    """A picture as a data URI."""

    url: str


class PicturePart(AnswerModel):
    """A picture that was made."""

    type: Literal["image_url"]
    image_url: PictureUrl
    index: int | None = None
    """Its place, where it stands beside the content."""


class AssistantMessage(AnswerModel):
    """An answer: a text, or a list with a picture."""

    role: Literal["assistant"]
    content: str | list[PicturePart]
    images: list[PicturePart] = []
    """The picture, with `image_output: images`."""


class Choice(AnswerModel):
    """With think and a picture the first is the thought, the second the picture."""

    index: int
    message: AssistantMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None


class Usage(AnswerModel):
    """Tokens; pictures in the prompt count as their rows."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Size(AnswerModel):
    """Of a picture made, in pixels."""

    height: int
    width: int


class Transfer(AnswerModel):
    """How the context came to the DiT."""

    transport: str
    bytes: int
    pages: int
    unique_bytes: int
    unique_pages: int
    seconds: float
    gb_per_s: float
    wait_s: float
    overlap: float
    """Part of the bytes that moved before the context was whole."""


class PictureFigures(AnswerModel):
    """What of one request was computed."""

    task: Literal["text2text", "img2text", "text2img", "img2img"]
    seed: int
    ignored: list[str]
    """Fields that were sent and mean nothing for this task."""
    work: dict[str, int]
    timings_s: dict[str, float]
    """Seconds by part of the request; what the parts mean and which overlap is in docs/observability.md."""
    size: Size | None = None
    transfer: Transfer | None = None


class ChatCompletion(AnswerModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    bagel: PictureFigures


class Delta(AnswerModel):
    """What is new."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    images: list[PicturePart] = []


class ChunkChoice(AnswerModel):
    """One choice of a chunk."""

    index: int
    delta: Delta
    finish_reason: Literal["stop", "length"] | None


class ChatChunk(AnswerModel):
    """One event of a streamed completion. The last is followed by `data: [DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    """Of the last chunk, with `stream_options.include_usage`."""
    bagel: PictureFigures | None = None
    """Likewise."""


class InputDetails(AnswerModel):
    """Rows of pictures count as text."""

    text_tokens: int
    image_tokens: int


class ImageUsage(AnswerModel):
    """Tokens of the context in, and of a thought out."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputDetails


class ImageHead(AnswerModel):
    """What answers and events say alike."""

    background: Literal["opaque"]
    output_format: PictureFormat
    quality: str
    size: str


class ImageEntry(AnswerModel):
    """A picture: its bytes, or its link with `response_format: url`."""

    b64_json: str | None = None
    url: str | None = None
    seed: int
    revised_prompt: str | None = None
    """The thought, with think."""


class Images(ImageHead):
    """Whole pictures."""

    created: int
    data: list[ImageEntry]
    usage: ImageUsage
    bagel: PictureFigures


class PartialImage(ImageHead):
    """A picture on the way."""

    type: Literal["image_generation.partial_image", "image_edit.partial_image"]
    b64_json: str
    created_at: int
    partial_image_index: int
    image_index: int


class CompletedImage(ImageHead, ImageEntry):
    """A finished picture."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    created_at: int
    image_index: int
    usage: ImageUsage
    bagel: PictureFigures


class LimitsOfModel(AnswerModel):
    """What the checkpoint can do."""

    token_pixels: int
    """Sides of pictures are multiples of it."""
    max_side_px: int
    default_side_px: int
    max_context_tokens: int


class GuidanceOfTask(AnswerModel):
    """What the checkpoint brings along for a task, or the official one."""

    cfg_text_scale: float
    cfg_img_scale: float
    cfg_interval: list[float]
    cfg_renorm_type: Literal["global", "channel", "text_channel"]
    cfg_renorm_min: float


class DefaultsOfModel(AnswerModel):
    """Guidance by task, where a request says nothing."""

    text2img: GuidanceOfTask
    img2img: GuidanceOfTask


class Model(AnswerModel):
    """The model served."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    limits: LimitsOfModel
    defaults: DefaultsOfModel
    settings: dict[str, dict[str, dict[str, Any]]]
    """By endpoint, the JSON schemas of the fields that OpenAI does not have."""


class ModelList(AnswerModel):
    """All of them: one."""

    object: Literal["list"]
    data: list[Model]


class Cancelled(AnswerModel):
    """The request stops within a step."""

    id: str
    object: Literal["request.cancelled"]


class Live(AnswerModel):
    """The process lives."""

    status: Literal["alive"]
    version: str


class Started(AnswerModel):
    """Whether every stage was ready once."""

    started: bool
    reasons: list[str]


class Ready(AnswerModel):
    """Whether every task works now."""

    ready: bool
    reasons: list[str]
    stages: list[dict[str, str | int]]
