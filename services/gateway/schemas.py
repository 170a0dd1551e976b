"""What clients may send to `/v1/chat/completions`, and nothing else: unknown fields are errors that name them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from bagel import limits
from bagel.limits import Limit
from services.gateway.errors import ApiError, invalid_request


def within(limit: Limit[int] | Limit[float]) -> FieldInfo:
    """A number's bounds."""
    info: FieldInfo = Field(ge=limit.least, le=limit.most)
    return info


PictureFormat = Literal["png", "jpeg", "webp"]
Seed = Annotated[int, within(limits.SEED)]
Steps = Annotated[int, within(limits.TIMESTEPS)]
Shift = Annotated[float, within(limits.TIMESTEP_SHIFT)]
Tokens = Annotated[int, within(limits.NEW_TOKENS)]
TextScale = Annotated[float, within(limits.TEXT_SCALE)]
NegativePrompt = Annotated[str, Field(max_length=limits.NEGATIVE_PROMPT_CHARACTERS.most)]
# Checked with the other end, so that an error names the field and not one of its ends.
Fraction = Annotated[
    float, Field(json_schema_extra={"minimum": limits.INTERVAL.least, "maximum": limits.INTERVAL.most})
]
# The most is the server's `--request-timeout-s`; this is the one that it has by itself.
Timeout = Annotated[float, Field(gt=0, json_schema_extra={"maximum": limits.TIMEOUT_S.most})]


class StrictModel(BaseModel):
    """Unknown fields and wrong types are errors."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, frozen=True, use_attribute_docstrings=True
    )


class TextPart(StrictModel):
    """A text."""

    type: Literal["text"]
    text: str


class ImageUrl(StrictModel):
    """A picture as a data URI. `detail` changes nothing here."""

    url: str
    """`data:image/png;base64,...`, or JPEG or WebP. An http(s) URL is fetched only where the server allows it."""
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
    content: Annotated[list[Part], BeforeValidator(_as_parts, json_schema_input_type=str | list[Part] | None)]
    name: str | None = None


class StreamOptions(StrictModel):
    """OpenAI's options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False


class TextFormat(StrictModel):
    """The only response format there is."""

    type: Literal["text"]


class GuidanceFields(StrictModel):
    """How strongly the prompt and the pictures hold."""

    cfg_text_scale: TextScale | None = None
    """Guidance by the text; 1 or less turns all guidance off."""
    cfg_img_scale: Annotated[float, within(limits.IMAGE_SCALE)] | None = None
    """Guidance by the pictures of the prompt; 1 or less turns it off."""
    cfg_interval: Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None = None
    """Guidance is on for times over the first and up to the second."""
    cfg_renorm_type: Literal["global", "channel", "text_channel"] | None = None
    """Which norm is restored after guidance; default: the model's, officially `global`, of an edit `text_channel`."""
    cfg_renorm_min: Annotated[float, within(limits.RENORM_MIN)] | None = None
    """Least factor of that."""


class ChatRequest(GuidanceFields):
    """A chat completion. Absent settings take the model's own defaults of the task: docs/limits.md."""

    messages: Annotated[list[Message], Field(min_length=1)]
    """In order, pictures of every role too. Texts may be raw `<|im_start|>...<|im_end|>` prompts."""
    model: str | None = None
    """The one that `/v1/models` names, or `bagel`; may be left out."""
    modalities: Annotated[list[Literal["text", "image"]], Field(min_length=1)] | None = None
    """With `image` a picture is made, else a text."""
    stream: bool = False
    """Events with the text as it is written, or with steps and the picture."""
    stream_options: StreamOptions | None = None
    """With `include_usage` the last chunk has the tokens and `bagel`."""
    seed: Seed | None = None
    """The same seed gives the same bytes; a random one is told in `bagel.seed`."""
    # Text.
    max_tokens: Tokens | None = None
    """Visible tokens of the answer at most."""
    max_completion_tokens: Tokens | None = None
    """Newer name of `max_tokens`, and stronger."""
    temperature: Annotated[float, within(limits.TEMPERATURE)] | None = None
    """0 takes the likeliest token."""
    top_p: Annotated[float, within(limits.TOP_P)] | None = None
    """Draw from the likeliest tokens that together have so much of the probability."""
    top_k: Annotated[int, within(limits.TOP_K)] | None = None
    """Draw from so many of the likeliest tokens; 0 is all of them."""
    repetition_penalty: Annotated[float, within(limits.REPETITION_PENALTY)] | None = None
    """More than 1 holds back tokens that were in the prompt or written already; also where the likeliest is taken."""
    think: bool = False
    """Write a thought first; with a picture, `choices[0]` holds it and `choices[1]` the picture."""
    max_think_tokens: Tokens | None = None
    """Visible tokens of the thought at most."""
    raw_prompt: bool = False
    """Take the text token by token: no markers are put around it."""
    # Pictures.
    height: int | None = None
    """In pixels, a multiple of the model's `token_pixels`, up to its `max_side_px`; default: `default_side_px`, of an
    edit the resized input's."""
    width: int | None = None
    """As `height`."""
    num_inference_steps: Steps | None = None
    """Time points, one more than steps."""
    negative_prompt: NegativePrompt | None = None
    """Takes the place of the missing text in the unconditional context."""
    timestep_shift: Shift | None = None
    """More than 1 spends more steps where the picture is still noise."""
    output_format: PictureFormat = "png"
    """Of the picture's file."""
    image_output: Literal["content", "images"] | None = None
    """A picture as a part of a list-valued content, or beside an empty content in `images`; default: the server's."""
    # Ours.
    timeout_s: Timeout | None = None
    """The request's deadline in seconds."""
    # OpenAI's own that change nothing here, or may only have the value that changes nothing.
    user: str | None = None
    """Changes nothing."""
    metadata: dict[str, str] | None = None
    """Changes nothing."""
    store: bool | None = None
    """Changes nothing."""
    service_tier: str | None = None
    """Changes nothing."""
    safety_identifier: str | None = None
    """Changes nothing."""
    prompt_cache_key: str | None = None
    """Changes nothing."""
    n: Literal[1] | None = None
    """More answers than one are not made here."""
    logprobs: Literal[False] | None = None
    """Probabilities are not told."""
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    """There is `repetition_penalty`."""
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    """There is `repetition_penalty`."""
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
