"""The API's description: right by OpenAPI's own rules, complete, and bounded as the endpoints are."""

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from bagel import limits
from bagel.limits import Limit
from services.gateway import openapi_examples as examples
from services.gateway.app import make_app
from services.gateway.config import GatewayConfig
from services.gateway.errors import ApiError
from services.gateway.image_schemas import parse_edit, parse_generation
from services.gateway.openapi import describe_api
from services.gateway.schemas import parse_chat_request

Json = dict[str, Any]
DOCUMENT = describe_api(GatewayConfig())
SCHEMAS: Json = DOCUMENT["components"]["schemas"]
PAGES = Path(__file__).parents[3] / "services/gateway/pages"
# What the description says of numbers, by field.
BOUNDS: dict[str, Limit[int] | Limit[float]] = {
    "cfg_text_scale": limits.TEXT_SCALE, "cfg_img_scale": limits.IMAGE_SCALE, "cfg_renorm_min": limits.RENORM_MIN,
    "seed": limits.SEED, "num_inference_steps": limits.TIMESTEPS, "timestep_shift": limits.TIMESTEP_SHIFT,
    "max_think_tokens": limits.NEW_TOKENS, "max_tokens": limits.NEW_TOKENS, "temperature": limits.TEMPERATURE,
    "max_completion_tokens": limits.NEW_TOKENS, "top_p": limits.TOP_P, "guidance_scale": limits.TEXT_SCALE,
    "output_compression": limits.COMPRESSION, "partial_images": limits.PREVIEWS,
    "top_k": limits.TOP_K, "repetition_penalty": limits.REPETITION_PENALTY,
}  # fmt: skip


def number(field: Json) -> Json:
    """The part of a field's schema that is not null."""
    return next(part for part in field.get("anyOf", [field]) if part != {"type": "null"})


def test_the_document_follows_openapi() -> None:
    validate(DOCUMENT)


def test_the_document_names_every_route_and_no_other() -> None:
    pages = {"/openapi.json", "/docs", "/docs/{name}", "/", "/playground/{name}"}
    routes = {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in make_app(GatewayConfig()).routes
        for method in route.methods  # type: ignore[attr-defined]
        if route.path not in pages  # type: ignore[attr-defined]
    }
    assert routes == {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}


def test_every_operation_says_how_it_can_fail_with_the_error_body() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert {"431", "500"} <= operation["responses"].keys()
    for answer in DOCUMENT["components"]["responses"].values():
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}


@pytest.mark.parametrize("name", ["ChatRequest", "GenerationRequest", "EditForm"])
def test_the_bounds_of_the_table_are_in_the_document(name: str) -> None:
    fields = SCHEMAS[name]["properties"]
    for field, limit in BOUNDS.items():
        if field in fields:
            found = number(fields[field])
            assert (found["minimum"], found["maximum"]) == (limit.least, limit.most), field
    assert number(fields["negative_prompt"])["maxLength"] == limits.NEGATIVE_PROMPT_CHARACTERS.most
    if name != "ChatRequest":
        assert fields["prompt"]["maxLength"] == limits.PROMPT_CHARACTERS.most
        assert number(fields["n"])["maximum"] == limits.PICTURES_MADE.most
    if name == "EditForm":
        assert fields["image[]"]["maxItems"] == limits.PICTURES_SENT.most


def test_the_longest_time_is_the_server_s_own() -> None:
    document = describe_api(GatewayConfig(request_timeout_s=12.0))
    for name in ("ChatRequest", "GenerationRequest", "EditForm"):
        assert number(document["components"]["schemas"][name]["properties"]["timeout_s"])["maximum"] == 12.0


@pytest.mark.parametrize("field", list(BOUNDS))
def test_both_ends_of_a_bound_are_taken_and_what_is_beyond_is_not(field: str) -> None:
    limit = BOUNDS[field]
    assert limit.least is not None

    def parse(value: float) -> None:
        if field in SCHEMAS["GenerationRequest"]["properties"]:
            parse_generation({"prompt": "A cat", field: value})
        if field in SCHEMAS["ChatRequest"]["properties"]:
            parse_chat_request({"messages": [{"role": "user", "content": "A cat"}], field: value})

    parse(limit.least)
    parse(limit.most)
    for value in (limit.least - 1, limit.most + 1):
        with pytest.raises(ApiError) as refused:
            parse(value)
        assert (refused.value.status, refused.value.param) == (400, field)


def test_the_examples_are_what_the_endpoints_take() -> None:
    for chat in examples.CHAT.values():
        parse_chat_request(chat)
    for generation in examples.GENERATIONS.values():
        parse_generation(generation)
    for edit in examples.EDITS.values():
        parse_edit({name: str(value).lower() if value is True else str(value) for name, value in edit.items()})


def test_the_page_of_the_api_loads_nothing_from_elsewhere_and_has_nothing_inline() -> None:
    html = (PAGES / "docs.html").read_text()
    for path in PAGES.glob("docs.*"):
        assert not re.search(r"https?:|@import|url\(", path.read_text()), path
    assert all(not re.search(r"^(/|\w+:)", found) for found in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", html)
