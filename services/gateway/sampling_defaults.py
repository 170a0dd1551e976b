"""What this server takes where a request is silent, in the names of the request's own fields (`--default-sampling`)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from bagel.errors import ConfigError
from services.gateway.image_schemas import GenerationRequest, ImageRequest
from services.gateway.schemas import ChatRequest, as_api_error

R = TypeVar("R", ChatRequest, ImageRequest)
# Of the thought that a picture may have; the others of a text's settings mean the text alone.
_OF_THOUGHTS = {"temperature", "top_p", "top_k", "repetition_penalty", "max_think_tokens"}
_TEXT = _OF_THOUGHTS | {"max_tokens", "seed", "think"}
_IMAGE = {
    "num_inference_steps", "cfg_text_scale", "cfg_img_scale", "cfg_interval", "cfg_renorm_type", "cfg_renorm_min",
    "timestep_shift", "negative_prompt", "seed", "think",
}  # fmt: skip
# A request that says the one says the other.
_SAID_BY = {"num_inference_steps": "quality", "cfg_text_scale": "guidance_scale", "max_tokens": "max_completion_tokens"}


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Fields by name, of texts and of pictures."""

    text: Mapping[str, Any] = field(default_factory=dict)
    image: Mapping[str, Any] = field(default_factory=dict)

    def fill(self, request: R) -> R:
        """The request with what it left out."""
        draws = isinstance(request, ImageRequest) or "image" in (request.modalities or ())
        own = {name: self.text[name] for name in _OF_THOUGHTS & set(self.text)} | dict(self.image)
        silent = {
            name: value
            for name, value in (own if draws else self.text).items()
            if name in type(request).model_fields and not request.model_fields_set & {name, _SAID_BY.get(name, name)}
        }
        return request.model_copy(update=silent) if silent else request


NO_DEFAULTS = SamplingDefaults()


def parse_sampling_defaults(text: str | None, *, think: bool = False) -> SamplingDefaults:
    """From `{"text": {...}, "image": {...}}`. Raises ConfigError naming the field."""
    found = _read(text)
    thinking = {"think": True} if think else {}
    defaults = SamplingDefaults({**thinking, **found["text"]}, {**thinking, **found["image"]})
    try:
        ChatRequest(messages=[{"role": "user", "content": "-"}], **defaults.text)  # type: ignore[list-item]
        GenerationRequest(prompt="-", **defaults.image)
    except ValidationError as error:
        raise ConfigError(f"--default-sampling: {as_api_error(error)}") from None
    return defaults


def _read(text: str | None) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise ConfigError(f"--default-sampling: is not JSON ({error})") from None
    parts: dict[str, dict[str, Any]] = {"text": {}, "image": {}}
    if not isinstance(found, dict) or not all(isinstance(part, dict) for part in found.values()):
        raise ConfigError('--default-sampling: must be like {"text": {"temperature": 0.4}, "image": {"seed": 52}}')
    for name, part in found.items():
        known = {"text": _TEXT, "image": _IMAGE}.get(name)
        if known is None or (unknown := sorted(set(part) - known)):
            wrong = name if known is None else f"{name}.{unknown[0]}"
            raise ConfigError(
                f"--default-sampling: unknown field {wrong}; there are {', '.join(sorted(known or parts))}"
            )
        parts[name] = part
    return parts
