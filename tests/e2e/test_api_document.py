"""What `/openapi.json` says is so: its examples are answered, answers look as described; `/docs` needs no network."""

import itertools
import json
import re
from typing import Any
from urllib.parse import urljoin

import jsonschema
import pytest

from services.gateway.config import GatewayConfig
from services.gateway.openapi import describe_api
from services.gateway.openapi_examples import PICTURE
from tests.e2e.server import Server

Json = dict[str, Any]
DOCUMENT = describe_api(GatewayConfig())
EXAMPLES = [
    pytest.param(path, kind, example["value"], id=f"{path} {name}")
    for path, methods in DOCUMENT["paths"].items()
    for kind, content in methods.get("post", {}).get("requestBody", {}).get("content", {}).items()
    for name, example in content["examples"].items()
]
HEALTH = [(path, 200) for path in ("/livez", "/startupz", "/readyz", "/health", "/v1/models", "/v1/models/bagel")]
MISSING = [("/v1/models/some/other", 404), ("/v1/pictures/none", 404)]


def check(found: object, schema: Json) -> None:
    """Hold a value against a schema of the document."""
    jsonschema.validate(found, {**schema, "components": DOCUMENT["components"]}, jsonschema.Draft202012Validator)


def check_answer(path: str, method: str, status: int, found: object) -> None:
    """Hold a whole answer against what the document says of it."""
    answer = DOCUMENT["paths"][path][method]["responses"][str(status)]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][str(status)]
    check(found, answer["content"]["application/json"]["schema"])


def check_stream(path: str, text: str) -> None:
    """Hold every event against what the document says of events."""
    schema = DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]
    data = schema["properties"]["data"]
    options = data.get("anyOf", [data])
    ends = [option["const"] for option in options if "const" in option]
    lines = [line for line in text.splitlines() if line and not line.startswith(":")]
    events = [(before, line) for before, line in itertools.pairwise(["", *lines]) if line.startswith("data: ")]
    assert events
    for before, line in events:
        said = line.removeprefix("data: ")
        if said in ends:
            assert line == lines[-1]
            continue
        check(json.loads(said), options[0]["contentSchema"])
        assert before.removeprefix("event: ") == json.loads(said).get("type", "") or not before.startswith("event: ")
    assert (lines[-1].removeprefix("data: ") in ends) == bool(ends)


def test_the_server_serves_the_document(default_server: Server) -> None:
    response = default_server.http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == json.loads(json.dumps(DOCUMENT))


@pytest.mark.parametrize(("path", "kind", "body"), EXAMPLES)
def test_an_example_is_answered_as_described(default_server: Server, path: str, kind: str, body: Json) -> None:
    if kind == "application/json":
        response = default_server.http.post(path, json=body)
    else:
        form = {name: str(value).lower() if value is True else str(value) for name, value in body.items()}
        files = [("image", ("picture.png", PICTURE.read_bytes(), "image/png"))]
        response = default_server.http.post(path, data=form, files=files)
    assert response.status_code == 200, response.text
    if body.get("stream"):
        check_stream(path, response.text)
    else:
        check_answer(path, "post", 200, response.json())


@pytest.mark.parametrize(("path", "status"), [*HEALTH, *MISSING])
def test_what_needs_no_body_is_answered_as_described(default_server: Server, path: str, status: int) -> None:
    response = default_server.http.get(path)
    assert response.status_code == status
    described = re.sub(
        r"(models|pictures)/.*", lambda m: f"{m[1]}/{{{'model_id' if m[1] == 'models' else 'name'}}}", path
    )
    check_answer(described, "get", status, response.json())


def test_everything_that_the_page_loads_comes_from_this_server(default_server: Server) -> None:
    page = default_server.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert {"docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/docs.js"} <= set(loaded)
    for address in loaded:
        response = default_server.http.get(urljoin("/docs", address))
        assert response.status_code == 200, address
        assert len(response.content) > 50
    assert "SwaggerUIBundle" in default_server.http.get("/docs/swagger-ui-bundle.js").text


def test_only_the_page_s_own_files_are_served(default_server: Server) -> None:
    for name in ("none.js", "..%2fapp.py", "docs.html", "example.png"):
        response = default_server.http.get(f"/docs/{name}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"
