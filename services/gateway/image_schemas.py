"""What clients may send to `/v1/images/generations` and `/v1/images/edits`: OpenAI's fields, then ours."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from bagel import limits
from services.gateway.errors import invalid_request
from services.gateway.schemas import (
    GuidanceFields,
    NegativePrompt,
    PictureFormat,
    Seed,
    Shift,
    Steps,
    TextScale,
    Timeout,
    Tokens,
    as_api_error,
    within,
)

T = TypeVar("T", bound="ImageRequest")
# Points of the schedule by OpenAI's names for how good a picture shall be; `auto` and `high` are the official default.
POINTS_BY_QUALITY = {"low": 20, "medium": 35, "standard": 35, "high": 50, "hd": 50, "auto": 50}


class ImageRequest(GuidanceFields):
    """Fields of both endpoints. Absent settings take the model's own defaults of the task: docs/limits.md."""

    prompt: Annotated[str, Field(min_length=limits.PROMPT_CHARACTERS.least, max_length=limits.PROMPT_CHARACTERS.most)]
    """What shall be in the picture, or what shall change."""
    model: str | None = None
    """The one that `/v1/models` names, or `bagel`; may be left out."""
    n: Annotated[int, within(limits.PICTURES_MADE)] = 1
    """Pictures, from one prefill; picture i has seed + i."""
    size: Annotated[str, Field(pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$")] = "auto"
    """`WIDTHxHEIGHT` in multiples of the model's `token_pixels`; `auto` is its default, of an edit the input's size."""
    quality: Literal["auto", "low", "medium", "standard", "high", "hd"] = "auto"
    """Time points, unless `num_inference_steps` is given: `low` 20, `medium` and `standard` 35, the others 50."""
    background: Literal["auto", "opaque"] = "auto"
    """Always opaque."""
    output_format: PictureFormat = "png"
    """Of the pictures' files."""
    output_compression: Annotated[int, within(limits.COMPRESSION)] | None = None
    """Quality of JPEG and WebP; PNG takes none."""
    response_format: Literal["b64_json", "url"] = "b64_json"
    """`url` is a signed link to this server, good for an hour."""
    stream: bool = False
    """Events with the pictures on the way and the finished ones."""
    partial_images: Annotated[int, within(limits.PREVIEWS)] = 0
    """Pictures on the way, in a stream."""
    user: str | None = None
    """Changes nothing."""
    safety_identifier: str | None = None
    """Changes nothing."""
    # Ours.
    seed: Seed | None = None
    """The same seed gives the same bytes; a random one is told in the answer."""
    num_inference_steps: Steps | None = None
    """Time points, one more than steps."""
    guidance_scale: TextScale | None = None
    """Another name of `cfg_text_scale`; send one of them."""
    negative_prompt: NegativePrompt | None = None
    """Takes the place of the missing text in the unconditional context."""
    timestep_shift: Shift | None = None
    """More than 1 spends more steps where the picture is still noise."""
    think: bool = False
    """Write a thought first; it stands in `revised_prompt`."""
    max_think_tokens: Tokens | None = None
    """Visible tokens of the thought at most."""
    timeout_s: Timeout | None = None
    """The request's deadline in seconds."""


class GenerationRequest(ImageRequest):
    """A picture from a text."""

    moderation: Literal["auto", "low"] = "auto"
    """Changes nothing: there is no filter to choose."""


class EditRequest(ImageRequest):
    """A picture from pictures and a text; the pictures come beside these fields."""

    input_fidelity: Literal["low", "high"] = "low"
    """Changes nothing: both are the same here."""


# Form fields are texts; these are what their values mean.
_FORM_INTEGERS = ("n", "output_compression", "partial_images", "seed", "num_inference_steps", "max_think_tokens")
_FORM_NUMBERS = (
    "guidance_scale", "cfg_text_scale", "cfg_img_scale", "cfg_renorm_min", "timestep_shift", "timeout_s",
)  # fmt: skip
_FORM_BOOLEANS = ("stream", "think")


def parse_generation(body: object) -> GenerationRequest:
    """A decoded JSON body. Raises ApiError naming the field."""
    if not isinstance(body, dict):
        raise invalid_request("the body must be a JSON object with a prompt")
    return _validated(GenerationRequest, body)


def parse_edit(form: dict[str, str]) -> EditRequest:
    """Form fields other than files. Raises ApiError naming the field."""
    return parse_edit_fields({name: _typed(name, value) for name, value in form.items()})


def parse_edit_fields(fields: dict[str, Any]) -> EditRequest:
    """The same with values of the right types. Raises ApiError naming the field."""
    return _validated(EditRequest, fields)


def _validated(kind: type[T], sent: dict[str, Any]) -> T:
    # Some clients send null for what they leave out.
    try:
        return kind.model_validate({name: value for name, value in sent.items() if value is not None})
    except ValidationError as error:
        raise as_api_error(error) from None


def _typed(name: str, value: str) -> object:
    """A form's text as the type of its field; a wrong one stays a text, which the schema then refuses."""
    try:
        if name in _FORM_INTEGERS:
            return int(value)
        if name in _FORM_NUMBERS:
            return float(value)
        if name == "cfg_interval":
            return [float(part) for part in value.strip("[]").split(",")]
    except ValueError:
        return value
    if name in _FORM_BOOLEANS:
        return {"true": True, "false": False}.get(value, value)
    return value
