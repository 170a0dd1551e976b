"""What a person wrote, with the place of every value: YAML files, JSON of a flag, flags themselves.

A tree of nodes. Knows nothing of what keys mean.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from bagel.errors import ConfigError

Scalar: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"
Step: TypeAlias = str | int

MAX_DEPTH = 32
_MOST_CHARACTERS = 40
_MERGE = "tag:yaml.org,2002:merge"
_TOO_DEEP = "is nested too deeply; a deploy file has few levels"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was said: a line of a file, or a flag."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value. The place of one in a mapping is that of its key."""

    value: "Scalar | tuple[Node, ...] | Mapping[str, Node]"
    place: Place

    @property
    def entries(self) -> "Mapping[str, Node]":
        """Of a mapping; nothing of anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> "tuple[Node, ...]":
        """Of a list; nothing of anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    def plain(self) -> Plain:
        """The same without places."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def place_of(self, path: Iterable[Step]) -> Place:
        """The place of what lies on a path; where that ends early, of the last that is there."""
        node = self
        for step in path:
            if isinstance(step, str) and step in node.entries:
                node = node.entries[step]
            elif isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                break
        return node.place


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake that a person must mend."""

    place: Place
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def refuse(problems: Sequence[Problem]) -> None:
    """Raise ConfigError with all of them, a line each; none is fine."""
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(map(str, problems))))


def read_yaml(path: Path) -> Node:
    """A file's tree. Raises ConfigError: it cannot be read, is no YAML, or says something twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read ({reason}); name a deploy file") from None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return Node({}, Place(str(path), 1))
        return _Reader(loader, str(path), root).node(root, Place(str(path), root.start_mark.line + 1), ())
    except RecursionError:
        raise ConfigError(f"{path}: {_TOO_DEEP}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: is no YAML ({error.problem}); mend that line") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML ({' '.join(str(error).split())})") from None


def read_json(text: str, flag: str) -> Node:
    """A flag's JSON. Raises ConfigError."""
    try:
        return said(json.loads(text), flag)
    except RecursionError:
        raise ConfigError(f"{flag}: {_TOO_DEEP}") from None
    except ValueError as error:
        raise ConfigError(f"{flag}: is no JSON ({error})") from None


def said(value: object, flag: str, depth: int = 0) -> Node:
    """A plain value that a flag stands for, so many levels down. Raises ConfigError."""
    place = Place(flag)
    if depth > MAX_DEPTH:
        raise ConfigError(f"{flag}: {_TOO_DEEP}")
    if isinstance(value, Mapping):
        return Node({str(key): said(each, flag, depth + 1) for key, each in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node(tuple(said(each, flag, depth + 1) for each in value), place)
    if value is not None and not isinstance(value, str | int | float):
        raise ConfigError(f"{flag}: {value!r} is no value of a deploy file")
    return Node(value, place)


class _Reader:
    """PyYAML's nodes as ours."""

    def __init__(self, loader: yaml.SafeLoader, source: str, root: yaml.Node) -> None:
        self._loader, self._source = loader, source
        self._own_keys = _own_keys(root)

    def node(self, node: yaml.Node, place: Place, above: tuple[yaml.Node, ...]) -> Node:
        if any(node is other for other in above):
            raise ConfigError(f"{place}: an alias must not stand inside of what it names")
        if len(above) > MAX_DEPTH:
            raise ConfigError(f"{place}: {_TOO_DEEP}")
        above = (*above, node)
        match node:
            case yaml.MappingNode():
                return Node(dict(self._entries(node, above)), place)
            case yaml.SequenceNode():
                return Node(tuple(self.node(each, self._place(each), above) for each in node.value), place)
        try:
            value = self._loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, OverflowError) as error:
            # What looks like a number or a date, or is tagged as one, and is none.
            shown = node.value if len(node.value) <= _MOST_CHARACTERS else node.value[:_MOST_CHARACTERS] + "..."
            what = node.tag.rpartition(":")[2]
            raise ConfigError(f"{place}: {shown!r} is read as {what} and is none; quote it if it is a text") from error
        # Dates and the like are texts here.
        return Node(value if value is None or isinstance(value, str | int | float) else str(node.value), place)

    def _entries(self, node: yaml.MappingNode, above: tuple[yaml.Node, ...]) -> Iterator[tuple[str, Node]]:
        own = self._own_keys[id(node)]
        self._loader.flatten_mapping(node)
        seen: set[str] = set()
        for key, value in node.value:
            place = self._place(key)
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{place}: a key must be a word")
            if key.value in seen and id(key) in own:
                raise ConfigError(f"{place}: {key.value} stands there twice; remove one")
            if id(key) in own:
                seen.add(key.value)
            yield key.value, self.node(value, place, above)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._source, node.start_mark.line + 1)


def _own_keys(root: yaml.Node) -> dict[int, set[int]]:
    """By each mapping's id, the ids of the keys that stand in itself: merging puts those of others among them."""
    found: dict[int, set[int]] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        match node:
            case yaml.MappingNode():
                found[id(node)] = {id(key) for key, _ in node.value if key.tag != _MERGE}
                waiting += [each for entry in node.value for each in entry]
            case yaml.SequenceNode():
                waiting += node.value
    return found
