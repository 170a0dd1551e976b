"""What `/v1/models` says: the model served, its limits, and the settings of ours that requests may carry."""

from typing import Any

from bagel.settings import Guidance
from bagel.v1 import settings_pb2
from bagel.wire import limits_from_proto
from services.gateway.image_schemas import EditRequest, GenerationRequest
from services.gateway.schemas import ChatRequest, StrictModel

# OpenAI's own fields; what a schema has besides these is ours.
_OPENAI = {
    "messages", "model", "modalities", "stream", "stream_options", "seed", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "n",
    "logprobs", "frequency_penalty", "presence_penalty", "response_format", "prompt", "size", "quality", "background",
    "output_format", "output_compression", "partial_images", "moderation", "input_fidelity",
}  # fmt: skip
_ENDPOINTS: dict[str, type[StrictModel]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/images/generations": GenerationRequest,
    "/v1/images/edits": EditRequest,
}


def describe_model(model: settings_pb2.ModelInfo) -> dict[str, Any]:
    """OpenAI's model object, with limits, default guidance and, by endpoint, the JSON schemas of our own settings."""
    limits = limits_from_proto(model)
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "bagel-serve",
        "limits": {
            "token_pixels": limits.token_pixels,
            "max_side_px": limits.max_side_px,
            "default_side_px": limits.default_side_px,
            "max_context_tokens": limits.max_context_tokens,
        },
        "defaults": {"text2img": _guidance(limits.text2img_guidance), "img2img": _guidance(limits.img2img_guidance)},
        "settings": {path: _own_settings(kind.model_json_schema()) for path, kind in _ENDPOINTS.items()},
    }


def _guidance(guidance: Guidance) -> dict[str, Any]:
    """By the names that requests use."""
    return {
        "cfg_text_scale": guidance.text_scale,
        "cfg_img_scale": guidance.image_scale,
        "cfg_interval": guidance.interval,
        "cfg_renorm_type": guidance.renorm.value,
        "cfg_renorm_min": guidance.renorm_min,
    }


def _own_settings(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: field for name, field in schema["properties"].items() if name not in _OPENAI}
