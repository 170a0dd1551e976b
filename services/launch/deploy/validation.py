"""From a tree to a record: every wrong key or value with its place and, of keys, the nearest that is valid."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.launch.deploy.document import Node, Problem, refuse

T = TypeVar("T", bound=BaseModel)
_MOST_CHARACTERS = 60


def validated(kind: type[T], node: Node) -> T:
    """The record that a tree holds. Raises ConfigError with every mistake in it."""
    if not isinstance(node.value, Mapping):
        refuse([Problem(node.place, f"must be a mapping with {', '.join(kind.model_fields)}")])
    try:
        return kind.model_validate(node.plain())
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        refuse([_problem(kind, node, detail) for detail in details])
        raise AssertionError("an error without details") from error


def nearest(key: str, known: Sequence[str]) -> str:
    """What to write instead of a key that is not known."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"the nearest valid key is {near[0]}" if near else f"valid keys are {', '.join(known)}"


def _problem(kind: type[BaseModel], node: Node, error: ErrorDetails) -> Problem:
    path, place = error["loc"], node.place_of(error["loc"])
    shown = _shown(path)
    match error["type"]:
        case "extra_forbidden":
            model = _model_at(kind, path[:-1])
            known = [] if model is None else list(model.model_fields)
            return Problem(place, f"unknown key {shown}; {nearest(str(path[-1]), known)}")
        case "missing":
            return Problem(place, f"{shown} is missing")
        case "literal_error" if path and path[-1] == "[key]":
            return Problem(place, f"unknown key {_shown(path[:-1])}: {error['msg']}")
    return Problem(place, f"{shown}: {error['msg']}, not {_short(error['input'])}")


def _shown(path: Sequence[int | str]) -> str:
    """`stages[0].devices`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _model_at(kind: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """The model of what lies on a path."""
    model: type[BaseModel] | None = kind
    in_mapping = False
    for step in path:
        if isinstance(step, int) or in_mapping:
            in_mapping = False
            continue
        if model is None or step not in model.model_fields:
            return None
        annotation = model.model_fields[step].annotation
        in_mapping = any(get_origin(each) is dict for each in (annotation, *get_args(annotation)))
        model = _model_in(annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
