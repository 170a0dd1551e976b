"""Bodies of requests: what is not allowed is refused in OpenAI's shape, naming the field by its path."""

from typing import Any

import pytest

from services.gateway.errors import ApiError
from services.gateway.schemas import parse_chat_request


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("seed", -1, "invalid_value"), ("seed", 2**63, "invalid_value"), ("seed", 1.5, "invalid_value"),
        ("num_inference_steps", 1, "invalid_value"), ("num_inference_steps", 10**9, "invalid_value"),
        ("max_tokens", 0, "invalid_value"), ("temperature", 3, "invalid_value"), ("top_p", 0, "invalid_value"),
        ("top_k", -1, "invalid_value"), ("top_k", 1.5, "invalid_value"), ("repetition_penalty", 0, "invalid_value"),
        ("temperature", float("nan"), "invalid_value"), ("cfg_text_scale", float("inf"), "invalid_value"),
        ("cfg_renorm_type", "local", "invalid_value"), ("cfg_interval", [0.5], "invalid_value"),
        ("height", "512", "invalid_value"), ("output_format", "gif", "invalid_value"), ("think", 1, "invalid_value"),
        ("n", 2, "invalid_value"), ("stop", ["x"], "unknown_parameter"), ("tools", [], "unknown_parameter"),
        ("frequency_penalty", 0.5, "invalid_value"), ("messages", [], "invalid_value"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_its_name(field: str, value: object, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_chat_request({"messages": [{"role": "user", "content": "A cute cat"}]} | {field: value})
    assert (refused.value.status, refused.value.param, refused.value.code) == (400, field, code)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "x"}, "messages[0].role"),
        ({"content": "x"}, "messages[0].role"),
        ({"role": "user", "content": [{"type": "audio"}]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "messages[0].content[0].image_url.url"),
    ],
)
def test_a_wrong_place_in_a_message_is_named_by_its_path(message: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_chat_request({"messages": [message]})
    assert refused.value.param == param


@pytest.mark.parametrize("body", [None, [], "text", {"model": "bagel"}])
def test_a_body_without_messages_is_refused(body: object) -> None:
    with pytest.raises(ApiError, match="messages"):
        parse_chat_request(body)


def test_top_level_nulls_mean_that_a_field_was_left_out() -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "stop": None, "tools": None, "seed": None}
    assert parse_chat_request(body).model_fields_set == {"messages"}
