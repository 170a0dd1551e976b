"""docs/api.md is what the code prints, and leaves no field of a request or an answer out."""

from services.gateway import api_page
from services.gateway.config import GatewayConfig
from services.gateway.openapi import describe_api
from tests.docs.pages import page


def test_the_page_of_the_api_is_what_the_schemas_print() -> None:
    assert page("docs/api.md").text == api_page.page(), "docs/api.md is stale: run `make limits`"


def test_every_route_and_every_field_is_on_it() -> None:
    document, text = describe_api(GatewayConfig()), page("docs/api.md").text
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in text
    for schema in document["components"]["schemas"].values():
        for name in schema["properties"]:
            assert f"| `{name}` |" in text, name
    for status in document["components"]["responses"]:
        assert f"\n| {status} | " in text
