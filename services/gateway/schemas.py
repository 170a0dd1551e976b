"""What clients may send to `/v1/chat/completions`, and nothing else: unknown fields are errors that name them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bagel.settings import MAX_NEW_TOKENS, MAX_SEED, MAX_TIMESTEPS
from services.gateway.errors import ApiError, invalid_request

PictureFormat = Literal["png", "jpeg", "webp"]


class StrictModel(BaseModel):
    """Unknown fields and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class TextPart(StrictModel):
    """A text."""

    type: Literal["text"]
    text: str


class ImageUrl(StrictModel):
    """A picture as a data URI. `detail` changes nothing here."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(StrictModel):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


def _as_parts(content: object) -> object:
    """A plain string is one text; nothing is no part."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [] if content is None else content


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Message(StrictModel):
    """One message; `name` changes nothing here."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[Part], BeforeValidator(_as_parts)]
    name: str | None = None


class StreamOptions(StrictModel):
    """OpenAI's options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False


class TextFormat(StrictModel):
    """The only response format there is."""

    type: Literal["text"]


class GuidanceFields(StrictModel):
    """How strongly the prompt and the pictures hold; the bounds are those of `bagel.settings`."""

    cfg_text_scale: float | None = None
    cfg_img_scale: float | None = None
    cfg_interval: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    cfg_renorm_type: Literal["global", "channel", "text_channel"] | None = None
    cfg_renorm_min: float | None = None


class ChatRequest(GuidanceFields):
    """A chat completion. Absent settings take the model's own defaults of the task."""

    messages: Annotated[list[Message], Field(min_length=1)]
    model: str | None = None
    modalities: Annotated[list[Literal["text", "image"]], Field(min_length=1)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    # Text.
    max_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    think: bool = False
    max_think_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)] | None = None
    raw_prompt: bool = False
    # Pictures.
    height: int | None = None
    width: int | None = None
    num_inference_steps: Annotated[int, Field(ge=2, le=MAX_TIMESTEPS)] | None = None
    negative_prompt: str | None = None
    timestep_shift: float | None = None
    output_format: PictureFormat = "png"
    # A picture as a part of a list-valued content, or beside an empty content in `images`; default: the server's.
    image_output: Literal["content", "images"] | None = None
    # Ours.
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    # OpenAI's own that change nothing here, or may only have the value that changes nothing.
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    response_format: TextFormat | None = None


def parse_chat_request(body: object) -> ChatRequest:
    """A decoded JSON body as a request. Raises ApiError naming the field."""
    if not isinstance(body, dict):
        raise invalid_request("the body must be a JSON object with a list of messages")
    # Some clients send null for what they leave out.
    sent = {name: value for name, value in body.items() if value is not None}
    try:
        return ChatRequest.model_validate(sent)
    except ValidationError as error:
        raise as_api_error(error) from None


def as_api_error(error: ValidationError) -> ApiError:
    """What is wrong with the first field at fault."""
    problem = error.errors(include_url=False, include_context=False, include_input=True)[0]
    param = _param(problem["loc"])
    match problem["type"]:
        case "extra_forbidden":
            return invalid_request(f"{param}: unknown field; remove it", param=param, code="unknown_parameter")
        case "missing":
            return invalid_request(f"{param}: required", param=param, code="missing_required_parameter")
        case _:
            return invalid_request(
                f"{param}: {problem['msg']}, not {_short(problem['input'])}", param=param, code="invalid_value"
            )


def _param(location: Sequence[int | str]) -> str:
    """`messages[0].content[1].image_url.url` from pydantic's path, without its tags of unions."""
    path, previous = "", ""
    for index, step in enumerate(location):
        if isinstance(step, int):
            path += f"[{step}]"
        elif index >= 2 and isinstance(location[index - 1], int) and location[index - 2] == "content":
            continue
        else:
            path += f".{step}" if path else step
        previous = str(step)
    return path or previous


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
