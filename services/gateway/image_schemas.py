"""What clients may send to `/v1/images/generations` and `/v1/images/edits`: OpenAI's fields, then ours."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from bagel.settings import MAX_NEW_TOKENS, MAX_SEED, MAX_TIMESTEPS
from services.gateway.errors import invalid_request
from services.gateway.schemas import GuidanceFields, PictureFormat, as_api_error

T = TypeVar("T", bound="ImageRequest")
MAX_PROMPT_CHARACTERS = 32_000
MAX_PICTURES = 10
# Points of the schedule by OpenAI's names for how good a picture shall be; `auto` and `high` are the official default.
POINTS_BY_QUALITY = {"low": 20, "medium": 35, "standard": 35, "high": 50, "hd": 50, "auto": 50}


class ImageRequest(GuidanceFields):
    """Fields of both endpoints. Absent settings take the model's own defaults of the task."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=MAX_PICTURES)] = 1
    size: Annotated[str, Field(pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$")] = "auto"
    quality: Literal["auto", "low", "medium", "standard", "high", "hd"] = "auto"
    background: Literal["auto", "opaque"] = "auto"
    output_format: PictureFormat = "png"
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    response_format: Literal["b64_json", "url"] = "b64_json"
    stream: bool = False
    partial_images: Annotated[int, Field(ge=0, le=3)] = 0
    user: str | None = None
    # Ours.
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    num_inference_steps: Annotated[int, Field(ge=2, le=MAX_TIMESTEPS)] | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    timestep_shift: float | None = None
    think: bool = False
    max_think_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None


class GenerationRequest(ImageRequest):
    """A picture from a text. There is no filter to choose, so `moderation` changes nothing."""

    moderation: Literal["auto", "low"] = "auto"


class EditRequest(ImageRequest):
    """A picture from pictures and a text; the pictures come beside these fields. Both fidelities are the same here."""

    input_fidelity: Literal["low", "high"] = "low"


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
    return _validated(EditRequest, {name: _typed(name, value) for name, value in form.items()})


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
