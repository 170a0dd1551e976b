"""The HTTP interface as a page: `python -m services.gateway.api_page` prints docs/api.md from the API's description.

Owns the wording around the tables. Knows neither a route nor a field by name; defaults that are not in the schemas are
those of `bagel.limits_page`.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator

from bagel.limits_page import defaults_by_field
from services.gateway.config import GatewayConfig
from services.gateway.openapi import Json, describe_api

_INTRO = """\
# The HTTP interface

Printed by `make limits` from the schemas that the gateway checks with; not edited by hand. The same is served as
`/openapi.json`, and at `/docs` as a page to try it. Limits that are no field's, and those of gRPC, are in
[`limits.md`](limits.md); who waits and who is refused in [`admission.md`](admission.md); the same tasks over gRPC in
[`grpc.md`](grpc.md); what clients of other projects send in [`clients.md`](clients.md).

Unknown fields are refused. Nulls at the top of a JSON body count as left out. A known field that means nothing for the
task is listed in the answer under `bagel.ignored`. Where API keys are asked for, everything under `/v1/` takes
`Authorization: Bearer KEY`, but for the signed links of pictures. Where an endpoint's table shows no default, the field
is required or means nothing until it is sent.

"""
_ERROR = "ErrorBody"
_ERRORS_HEAD = """\
## Errors
Every error has an [ErrorBody](#errorbody), also as an event of a stream that has begun. `retry-after` in seconds comes
with 429 and 503.

| status | |
|---|---|
"""


def page() -> str:
    """The whole of docs/api.md."""
    document = describe_api(GatewayConfig())
    schemas: Json = document["components"]["schemas"]
    posts = {
        path: methods["post"] for path, methods in document["paths"].items() if "requestBody" in methods.get("post", {})
    }
    requests = {path: _name_of(next(iter(post["requestBody"]["content"].values()))) for path, post in posts.items()}
    parts, seen = [_INTRO + _endpoints(document)], list[str]()
    for path, name in requests.items():
        told = next((other for other in seen if _shared(schemas[name], schemas[other])), None)
        parts.append(f"## POST {path}\n" + _operation(posts[path]) + _request(name, told, requests, schemas))
        seen.append(name)
    inside = [name for name in _reached(seen, schemas) if name not in seen]
    answers = [name for name in _reached(_answers(document), schemas) if name not in inside]
    parts.append("## Inside requests\n" + "\n".join(_section(name, schemas[name], asked=True) for name in inside))
    parts.append("## Answers\n" + "\n".join(_section(name, schemas[name], asked=False) for name in answers))
    return "\n".join([*parts, _errors(document)])


def _shared(schema: Json, other: Json) -> bool:
    """Whether most fields of one are the other's."""
    same = [name for name in schema["properties"] if name in other["properties"]]
    return len(same) > 0.8 * len(schema["properties"])


def _request(name: str, told: str | None, requests: dict[str, str], schemas: Json) -> str:
    """The fields of a request; of one that is much like another, those that it alone has."""
    if told is None:
        return _fields(schemas[name], asked=True)
    where = next(path for path, kind in requests.items() if kind == told)
    own, others = schemas[name]["properties"], schemas[told]["properties"]
    alone = {field: kind for field, kind in own.items() if _type(kind) != _type(others.get(field, {}))}
    missing = ", ".join(f"`{field}`" for field in others if field not in own)
    found = f"All fields of [POST {where}](#{_anchor(f'POST {where}')})"
    found += f", but {missing}, and these:\n\n" if missing else ", and these:\n\n"
    return found + _fields(schemas[name] | {"properties": alone}, asked=True)


def _reached(names: Iterable[str], schemas: Json) -> list[str]:
    """These and all that they refer to, each once, what refers before what is referred to."""
    found: list[str] = []
    for name in names:
        if name not in found:
            found += [name]
            found += [each for each in _reached(_references(schemas[name]), schemas) if each not in found]
    return found


def _references(part: object) -> Iterator[str]:
    match part:
        case {"$ref": str(reference), **rest} if not rest:
            yield reference.rsplit("/", 1)[1]
        case dict():
            for each in part.values():
                yield from _references(each)
        case list():
            for each in part:
                yield from _references(each)


def _answers(document: Json) -> Iterator[str]:
    """Every schema of a good answer, then of a bad one."""
    for methods in document["paths"].values():
        for operation in methods.values():
            yield from (name for name in _references(operation["responses"].get("200", {})) if name != _ERROR)
    yield _ERROR


def _name_of(content: Json) -> str:
    return str(content["schema"]["$ref"]).rsplit("/", 1)[1]


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _endpoints(document: Json) -> str:
    rows = ["## Endpoints\n", "| | | 200 | errors |\n|---|---|---|---|\n"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            said = ", ".join(_content(answers["200"]["content"])) if "200" in answers else "never"
            errors = ", ".join(status for status in answers if status != "200")
            rows.append(f"| `{method.upper()} {path}` | {operation['summary']} | {said} | {errors} |\n")
    return "".join(rows)


def _content(content: Json) -> Iterator[str]:
    """What an answer holds, by media type."""
    for media, kind in content.items():
        if media == "text/event-stream":
            yield "or a stream"
        elif "$ref" in kind["schema"]:
            yield _linked(kind["schema"]["$ref"])
        else:
            yield f"`{media}`"


def _operation(operation: Json) -> str:
    found = f"{operation['summary']}. {operation['description']}\n\n"
    for parameter in operation.get("parameters", ()):
        found += f"Header `{parameter['name']}`: {parameter['description']}\n\n"
    for media, body in operation["requestBody"]["content"].items():
        first = next(iter(body["examples"].values()))
        shown = json.dumps(first["value"], indent=2, ensure_ascii=False)
        kind = "A form; its fields beside the files" if media.startswith("multipart/") else f"As `{media}`"
        found += f"{kind}: {first['summary'][0].lower()}{first['summary'][1:]}.\n\n```json\n{shown}\n```\n\n"
    return found


def _section(name: str, schema: Json, *, asked: bool) -> str:
    return f"### {name}\n{schema['description']}\n\n" + _fields(schema, asked=asked)


def _fields(schema: Json, *, asked: bool) -> str:
    """A table of an object's fields; `asked` ones have defaults and bounds."""
    needed = schema.get("required", ())
    rows = ["| field | type | default | |\n|---|---|---|---|\n" if asked else "| field | type | |\n|---|---|---|\n"]
    for name, field in sorted(schema["properties"].items(), key=lambda each: each[0] not in needed):
        about = " ".join(field.get("description", "").split()).replace("|", "\\|")
        cells = [f"`{name}`", _type(field)]
        if asked:
            cells.append("required" if name in needed else _default(name, field))
        rows.append("|" + "|".join(f" {cell} " if cell else " " for cell in [*cells, about]) + "|\n")
    return "".join(rows)


def _default(name: str, field: Json) -> str:
    if field.get("default") is not None:
        return f"`{json.dumps(field['default'])}`"
    return defaults_by_field().get(name, "")


def _type(field: Json) -> str:
    """A field's type with its bounds, nulls apart, which stand for what is left out."""
    options = [option for option in field.get("anyOf", (field,)) if option != {"type": "null"}]
    return " or ".join(dict.fromkeys(map(_one_type, options)))


def _one_type(kind: Json) -> str:
    if "$ref" in kind:
        return _linked(kind["$ref"])
    if "const" in kind:
        return f"`{json.dumps(kind['const'])}`"
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    match kind.get("type"):
        case "array":
            count = _bounds(kind, "minItems", "maxItems").removeprefix(", ")
            return f"list of {count + ': ' if count else ''}{_type(kind['items'])}"
        case "object":
            inner = kind.get("additionalProperties")
            return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
        case "string" if kind.get("contentMediaType"):
            return "file"
        case "string" if "pattern" in kind:
            return f"string, `{kind['pattern']}`".replace("|", "\\|")
        case "string":
            return f"string{_bounds(kind, 'minLength', 'maxLength', ' characters')}"
        case None:
            return " or ".join(_one_type(each) for each in kind.get("oneOf", ())) or "anything"
        case name:
            return f"{name}{_over(kind)}{_bounds(kind, 'minimum', 'maximum')}"


def _bounds(kind: Json, least: str, most: str, unit: str = "") -> str:
    low, high = (None if kind.get(end) is None else _number(kind[end]) for end in (least, most))
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f", {'at most ' + str(high) if low is None else 'at least ' + str(low)}{unit}"
    return f", {low}{unit}" if low == high else f", {low} to {high}{unit}"


def _over(kind: Json) -> str:
    return f", over {_number(kind['exclusiveMinimum'])}" if "exclusiveMinimum" in kind else ""


def _number(value: float) -> str:
    return "2^63 - 1" if value == 2**63 - 1 else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _linked(reference: str) -> str:
    name = reference.rsplit("/", 1)[1]
    return f"[{name}](#{name.lower()})"


def _errors(document: Json) -> str:
    return _ERRORS_HEAD + "".join(_rows(document["components"]["responses"].items()))


def _rows(answers: Iterable[tuple[str, Json]]) -> Iterator[str]:
    for status, answer in answers:
        yield f"| {status} | {answer['description']} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
