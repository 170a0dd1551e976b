"""The API's description, made from the schemas that the endpoints check with. OpenAPI 3.2 knows streams of events.

Pure: no server, no stage. Knows every route of `services.gateway.app`; a test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bagel import __version__, limits
from bagel.limits_page import tables
from bagel.rpc import REQUEST_ID_KEY
from services.gateway import openapi_examples as examples
from services.gateway import response_schemas as answers
from services.gateway.config import GatewayConfig
from services.gateway.image_schemas import EditRequest, GenerationRequest
from services.gateway.schemas import ChatRequest

Json = dict[str, Any]

_REQUESTS: tuple[type[BaseModel], ...] = (ChatRequest, GenerationRequest, EditRequest)
_ANSWERS: tuple[type[BaseModel], ...] = (
    answers.ErrorBody, answers.ChatCompletion, answers.ChatChunk, answers.Images, answers.PartialImage,
    answers.CompletedImage, answers.Model, answers.ModelList, answers.Cancelled, answers.Live, answers.Started,
    answers.Ready,
)  # fmt: skip
_ERRORS = {
    400: "The request is wrong; `param` names the field.",
    401: "The server asks for an API key, and this is none; without keys it never does.",
    404: "There is no such thing: another model than this server's, a request that does not run, a link that is over.",
    408: "The body did not arrive in time.",
    413: f"The body is over {limits.BODY_BYTES.most >> 20} MiB.",
    429: "Too much waits already, or the key is at its limits; `retry-after` says when to come again.",
    431: f"The headers are over {limits.HEADER_BYTES.most >> 10} KiB.",
    499: "Another call cancelled the request.",
    500: "Something broke here; the log says what.",
    503: "A stage is loading, was lost or cannot be reached; `retry-after` says when to come again.",
    504: "The request's deadline passed.",
}
_TASK_ERRORS = (400, 401, 404, 408, 413, 429, 499, 503, 504)
_ANY_ERRORS = (431, 500)
_PICTURE: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
_ABOUT = f"""\
Pictures and texts from [BAGEL](https://huggingface.co/ByteDance-Seed/BAGEL-7B-MoT), behind OpenAI's endpoints.

* Every parameter is honoured or refused with 400 and its name; nulls at the top of a JSON body count as left out.
* Every answer names its request in `{REQUEST_ID_KEY}`, made from the one that was sent, if any.
* Every error has the same body. `retry-after` comes with 429 and 503.

<details><summary>Limits and defaults</summary>

The same for HTTP and gRPC. Both ends are allowed. A model may bring its own guidance: `defaults` at `/v1/models/ID`.

{tables(heading="###")}

</details>"""
_CHAT_STREAM = (
    "With `stream`: events of `ChatChunk` as `data:` lines, steps and places in the queue as comments, then `[DONE]`. "
    "What goes wrong after the first event comes as an event with an `ErrorBody`."
)
_IMAGE_STREAM = (
    "With `stream`: named events, `PartialImage` and `CompletedImage`, with steps as comments. "
    "What goes wrong after the first event comes as an event with an `ErrorBody`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `answers` are its 200 by media type, `others` other statuses with bodies of their own."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    about: str = ""
    body: Json | None = None
    parameters: tuple[Json, ...] = ()
    answers: Json = field(default_factory=dict)
    others: dict[int, Json] = field(default_factory=dict)
    errors: tuple[int, ...] = ()

    def described(self) -> Json:
        """The operation object."""
        found: Json = {"operationId": self.id, "tags": [self.tag], "summary": self.summary}
        if self.about:
            found["description"] = self.about
        if self.parameters:
            found["parameters"] = list(self.parameters)
        if self.body is not None:
            found["requestBody"] = {"required": True, "content": self.body}
        said: Json = {
            str(status): {"$ref": f"#/components/responses/{status}"} for status in (*self.errors, *_ANY_ERRORS)
        }
        said |= {str(status): {"description": _ERRORS[status], "content": c} for status, c in self.others.items()}
        if self.answers:
            said["200"] = {"description": "Done.", "content": self.answers}
        return found | {"responses": dict(sorted(said.items()))}


def describe_api(config: GatewayConfig) -> Json:
    """The whole document for a gateway with these flags."""
    schemas = _schemas(config)
    paths: dict[str, Json] = {}
    for operation in _operations():
        paths.setdefault(operation.path, {})[operation.method] = operation.described()
    return {
        "openapi": "3.2.0",
        "info": {
            "title": "bagel-serve",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": "tasks"}, {"name": "models"}, {"name": "requests"}, {"name": "health"}],
        "paths": paths,
        "components": {"schemas": schemas, "responses": {str(status): _error(status) for status in _ERRORS}},
    }


def _schemas(config: GatewayConfig) -> Json:
    kinds = [(kind, "validation") for kind in _REQUESTS] + [(kind, "serialization") for kind in _ANSWERS]
    _, made = models_json_schema(kinds, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas: Json = made["$defs"]
    for kind in _REQUESTS:
        timeout, _ = schemas[kind.__name__]["properties"]["timeout_s"]["anyOf"]
        timeout["maximum"] = config.request_timeout_s
    for kind in (ChatRequest, GenerationRequest):
        _allow_nulls(schemas[kind.__name__])
    schemas["EditForm"] = _form(schemas.pop("EditRequest"))
    return schemas


def _allow_nulls(schema: Json) -> None:
    """A field that may be left out may be null, too; so may one that nobody knows."""
    for name, each in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in each.get("anyOf", ()):
            about = {key: each.pop(key) for key in ("default", "description", "title") if key in each}
            schema["properties"][name] = {"anyOf": [each, {"type": "null"}], **about}
    schema["additionalProperties"] = {"type": "null"}


def _form(schema: Json) -> Json:
    """The fields of an edit as a form's: no nulls, the interval as a text, pictures beside them."""
    fields = {}
    for name, each in schema["properties"].items():
        options = [option for option in each.pop("anyOf", ()) if option != {"type": "null"}]
        fields[name] = (options[0] | each) if options else each
        if fields[name].get("default", ...) is None:
            del fields[name]["default"]
    fields["prompt"]["examples"] = [example["prompt"] for example in examples.EDITS.values()]
    about = fields["cfg_interval"]["description"]
    fields["cfg_interval"] = {"type": "string", "examples": ["0.4,1"], "description": f"{about} Like `0.4,1`."}
    pictures = {
        "image": _PICTURE | {"description": "The picture: PNG, JPEG or WebP."},
        "image[]": {
            "type": "array",
            "items": _PICTURE,
            "minItems": 1,
            "maxItems": limits.PICTURES_SENT.most,
            "description": "Several pictures, in order.",
        },
        "mask": _PICTURE | {"description": "PNG with alpha, as large as the first picture: where opaque, that stays."},
    }
    one_of_them = [{"required": ["image"]}, {"required": ["image[]"]}]
    return schema | {"title": "EditForm", "properties": pictures | fields, "anyOf": one_of_them}


def _operations() -> Iterable[Operation]:
    """Every route, in the order of the page."""
    yield from _task_operations()
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    signed = [
        {"name": part, "in": "query", "schema": {"type": "string"}, "description": "As in the link."}
        for part in ("until", "signature")
    ]
    yield Operation(
        method="get", path="/v1/pictures/{name}", id="getPicture", tag="tasks",
        summary="A picture by its link", parameters=(name, *signed), errors=(404,),
        answers={f"image/{kind}": {"schema": _PICTURE} for kind in ("png", "jpeg", "webp")},
    )  # fmt: skip
    yield Operation(
        method="get", path="/v1/models", id="listModels", tag="models", summary="The model served",
        answers=_json("ModelList"), errors=(503,),
    )  # fmt: skip
    yield Operation(
        method="get", path="/v1/models/{model_id}", id="getModel", tag="models",
        summary="Its limits, and every setting of ours with type and bounds",
        about="The id may have slashes, as ids of the hub do, sent as they are.",
        parameters=(_path("model_id", "The model's id, `bagel` or `default`.", "bagel"),),
        answers=_json("Model"), errors=(404, 503),
    )  # fmt: skip
    yield Operation(
        method="delete", path="/v1/requests/{request_id}", id="cancelRequest", tag="requests",
        summary="Stop a running request within a step",
        parameters=(_path("request_id", f"Of the answer's `{REQUEST_ID_KEY}`, or the one sent; of the same API key."),),
        answers=_json("Cancelled"), errors=(404,),
    )  # fmt: skip
    yield from _health_operations()


def _task_operations() -> Iterable[Operation]:
    chat_events = _events(_CHAT_STREAM, "ChatChunk", end="[DONE]")
    image_events = _events(_IMAGE_STREAM, "PartialImage", "CompletedImage")
    yield Operation(
        method="post", path="/v1/chat/completions", id="createChatCompletion", tag="tasks",
        summary="Texts and pictures from texts and pictures", parameters=(_request_id(),),
        about=f"{_one_line(ChatRequest)}\n\n{_CHAT_STREAM}",
        body=_json_body("ChatRequest", examples.CHAT), answers=_json("ChatCompletion") | chat_events,
        errors=_TASK_ERRORS,
    )  # fmt: skip
    yield Operation(
        method="post", path="/v1/images/generations", id="createImage", tag="tasks",
        summary="Pictures from a text", parameters=(_request_id(),), about=_IMAGE_STREAM,
        body=_json_body("GenerationRequest", examples.GENERATIONS), answers=_json("Images") | image_events,
        errors=_TASK_ERRORS,
    )  # fmt: skip
    form = {"schema": _ref("EditForm"), "examples": _examples(examples.EDITS)}
    yield Operation(
        method="post", path="/v1/images/edits", id="createImageEdit", tag="tasks",
        summary="Pictures from pictures and a text", parameters=(_request_id(),),
        about=f"`image` once, or `image[]` for several. {_IMAGE_STREAM}",
        body={"multipart/form-data": form}, answers=_json("Images") | image_events, errors=_TASK_ERRORS,
    )  # fmt: skip
    yield Operation(
        method="post", path="/v1/images/variations", id="createImageVariation", tag="tasks",
        summary="Retired: always 404, saying what to use", errors=(404,),
    )  # fmt: skip


def _health_operations() -> Iterable[Operation]:
    yield Operation(
        method="get", path="/livez", id="isLive", tag="health", summary="The process lives",
        answers=_json("Live")
    )  # fmt: skip
    yield Operation(
        method="get", path="/startupz", id="isStarted", tag="health", summary="Every stage was ready once",
        answers=_json("Started"), others={503: _json("Started")}
    )  # fmt: skip
    for path, name in (("/readyz", "isReady"), ("/health", "isHealthy")):
        yield Operation(
            method="get", path=path, id=name, tag="health", summary="Every task works now; else the reasons",
            answers=_json("Ready"), others={503: _json("Ready")}
        )  # fmt: skip
    yield Operation(
        method="get", path="/metrics", id="getMetrics", tag="health", summary="For Prometheus",
        answers={"text/plain": {"schema": {"type": "string"}}}
    )  # fmt: skip


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str) -> Json:
    return {"application/json": {"schema": _ref(name)}}


def _json_body(name: str, named: dict[str, Json]) -> Json:
    return {"application/json": {"schema": _ref(name), "examples": _examples(named)}}


def _examples(named: dict[str, Json]) -> Json:
    return {summary.lower().replace(" ", "-").replace(",", ""): {"summary": summary, "value": value}
            for summary, value in named.items()}  # fmt: skip


def _events(about: str, *names: str, end: str | None = None) -> Json:
    """A stream: its items are events, their data JSON, and where `end` is given that text last."""
    kinds = [_ref(name) for name in (*names, "ErrorBody")]
    data: Json = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": kinds}}
    if end is not None:
        data = {"anyOf": [data, {"type": "string", "const": end}]}
    properties = {"data": data, "event": {"type": "string", "description": "The `type` of the data, where it has one."}}
    event = {"type": "object", "properties": properties, "required": ["data"], "description": about}
    return {"text/event-stream": {"itemSchema": event}}


def _request_id() -> Json:
    most = limits.SENT_ID_CHARACTERS.most
    about = f"Begins the answer's id, if made of A-Z a-z 0-9 . _ - alone; up to {most} characters."
    return {"name": REQUEST_ID_KEY, "in": "header", "schema": {"type": "string"}, "description": about}


def _path(name: str, about: str, example: str | None = None) -> Json:
    found = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": about}
    return found if example is None else found | {"example": example}


def _one_line(kind: type[BaseModel]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _error(status: int) -> Json:
    found: Json = {"description": _ERRORS[status], "content": _json("ErrorBody")}
    if status in (429, 503):
        found["headers"] = {"retry-after": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return found
