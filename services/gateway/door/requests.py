"""Public gRPC messages -> what the REST endpoints parse: field for field, so that both have the same bounds. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from bagel.errors import RequestError
from bagel.limits import CHAT_PARTS, PICTURES_SENT
from bagel.settings import ModelLimits
from bagel.v1 import bagel_pb2, settings_pb2
from services.gateway.edit_files import EditFiles, SentPicture
from services.gateway.errors import invalid_request
from services.gateway.image_schemas import parse_edit_fields, parse_generation
from services.gateway.image_tasks import make_image_task
from services.gateway.sampling_defaults import SamplingDefaults
from services.gateway.schemas import ChatRequest, parse_chat_request
from services.gateway.tasks import Task, make_task

Fields: TypeAlias = dict[str, Any]
Options: TypeAlias = bagel_pb2.PictureOptions | bagel_pb2.WritingOptions
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_ROLES = {
    bagel_pb2.CHAT_ROLE_SYSTEM: "system",
    bagel_pb2.CHAT_ROLE_USER: "user",
    bagel_pb2.CHAT_ROLE_ASSISTANT: "assistant",
}
# A picture's place in a chat request; its bytes travel beside.
_PLACE = {"type": "image_url", "image_url": {"url": "data:"}}


@dataclass(frozen=True, slots=True)
class Order:
    """A parsed request: its task, once the model's limits are known (raises RequestError), and what came with it."""

    task: Callable[[ModelLimits, SamplingDefaults], Task]
    files: EditFiles


def generation_of(message: bagel_pb2.GeneratePicturesRequest) -> Order:
    """Raises ApiError naming the field."""
    parsed = parse_generation({"prompt": message.prompt, "stream": True, **options_of(message.options)})
    return Order(partial(make_image_task, parsed, ()), EditFiles())


def edit_of(message: bagel_pb2.EditPicturesRequest) -> Order:
    """Raises ApiError and RequestError naming the field."""
    parsed = parse_edit_fields({"prompt": message.prompt, "stream": True, **options_of(message.options)})
    pictures = _numbered("pictures", message.pictures)
    if not pictures:
        raise RequestError("pictures: an edit needs at least one", param="pictures")
    mask = SentPicture("mask", message.mask.data) if message.HasField("mask") else None
    return Order(partial(make_image_task, parsed, [picture.data for picture in pictures]), EditFiles(pictures, mask))


def question_of(message: bagel_pb2.UnderstandRequest) -> Order:
    """As a conversation of one message. Raises ApiError and RequestError naming the field."""
    pictures = _numbered("pictures", message.pictures)
    content = [*(_PLACE for _ in pictures), {"type": "text", "text": message.question}]
    fields = {"messages": [{"role": "user", "content": content}], **options_of(message.options)}
    return _chat_order(parse_chat_request(fields), pictures)


def conversation_of(message: bagel_pb2.ChatRequest) -> Order:
    """Raises ApiError and RequestError naming the field."""
    num_parts = len(message.messages) + sum(len(sent.parts) for sent in message.messages)
    if num_parts > CHAT_PARTS.most:
        told = f"messages: {num_parts} messages and parts were sent, at most {CHAT_PARTS.most} are taken"
        raise RequestError(told, param="messages")
    messages: list[Fields] = []
    pictures: list[SentPicture] = []
    for m, sent in enumerate(message.messages):
        if sent.role not in _ROLES:
            raise RequestError(f"messages[{m}].role: not set", param=f"messages[{m}].role")
        content: list[Fields] = []
        for p, part in enumerate(sent.parts):
            param = f"messages[{m}].parts[{p}]"
            match part.WhichOneof("part"):
                case "text":
                    content.append({"type": "text", "text": part.text})
                case "picture":
                    content.append(_PLACE)
                    pictures.append(SentPicture(f"{param}.picture", part.picture.data))
                case _:
                    raise RequestError(f"{param}: neither a text nor a picture", param=param)
        messages.append({"role": _ROLES[sent.role], "content": content})
    fields: Fields = {"messages": messages}
    if message.WhichOneof("wanted") == "picture":
        fields |= {"modalities": ["image"], **_with_sides(options_of(message.picture))}
    else:
        fields |= options_of(message.text)
    _check_count("messages", len(pictures))
    return _chat_order(parse_chat_request(fields), tuple(pictures))


def question_field(rest: str) -> str:
    """The field of a question for one of REST's."""
    return "question" if rest.startswith("messages") else rest


def conversation_field(rest: str) -> str:
    """The field of a conversation for one of REST's."""
    return rest.replace(".content", ".parts")


def options_of(message: Options) -> Fields:
    """The options that were set, by the names and with the values that REST has."""
    found: Fields = {}
    for field, value in message.ListFields():
        if field.enum_type is not None:
            prefix = "RENORM_" if field.name == "cfg_renorm_type" else "IMAGE_FORMAT_"
            known = field.enum_type.values_by_number.get(value)
            found[field.name] = known.name.removeprefix(prefix).lower() if known else value
        else:
            found[field.name] = list(value) if field.is_repeated else value
    return found


def _chat_order(parsed: ChatRequest, pictures: tuple[SentPicture, ...]) -> Order:
    return Order(partial(make_task, parsed, [picture.data for picture in pictures]), EditFiles(pictures))


def _with_sides(options: Fields) -> Fields:
    """A chat request has `height` and `width` where the others have `size`."""
    size = options.pop("size", "auto")
    if size == "auto":
        return options
    found = _SIZE.fullmatch(size)
    if found is None:
        raise invalid_request(f"size: {size[:40]!r} is neither WIDTHxHEIGHT nor auto", param="size")
    return {**options, "width": int(found[1]), "height": int(found[2])}


def _numbered(name: str, pictures: Sequence[settings_pb2.EncodedImage]) -> tuple[SentPicture, ...]:
    _check_count(name, len(pictures))
    return tuple(SentPicture(f"{name}[{i}]", picture.data) for i, picture in enumerate(pictures))


def _check_count(name: str, count: int) -> None:
    if count > PICTURES_SENT.most:
        message = f"{name}: {count} pictures were sent, at most {PICTURES_SENT.most} are taken"
        raise RequestError(message, param=name)
