"""A typed client of the public gRPC service, for other services in Python. Needs no torch; blocking, thread-safe.

    with BagelClient("localhost:8092") as bagel:
        made = bagel.generate("A cute cat", seed=7)
        open("cat.png", "wb").write(made.pictures[0].data)
        print(bagel.understand([made.pictures[0].data], "What is in the picture?").text)

Every setting is a keyword with the name that it has over REST (docs/limits.md). `watch` sees every event of the stream:
progress, pictures on the way, pieces of text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import grpc

from bagel.errors import BagelError, RequestError
from bagel.rpc import CHANNEL_OPTIONS, PARAM_KEY, PUSHBACK_KEY
from bagel.v1 import bagel_pb2, bagel_pb2_grpc, dit_pb2, settings_pb2

Watch = Callable[[bagel_pb2.TaskEvent], None]
Setting = str | int | float | bool | Sequence[float]
Stream = Iterable[bagel_pb2.TaskEvent]
DEADLINE_S = 600.0
ROLES = {
    "system": bagel_pb2.CHAT_ROLE_SYSTEM,
    "user": bagel_pb2.CHAT_ROLE_USER,
    "assistant": bagel_pb2.CHAT_ROLE_ASSISTANT,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: an encoded file."""

    data: bytes
    width: int
    height: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a task made: pictures, or a text; with `think` also the thought before the pictures."""

    request_id: str
    seed: int
    pictures: tuple[Picture, ...] = ()
    text: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    timings_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation: texts, and pictures as encoded files, in order."""

    role: str  # system, user or assistant
    parts: Sequence[str | bytes]


class ServerError(BagelError):
    """The server refused or ended a call. `param` names the field at fault; `retry_after_s` says when to come again."""

    def __init__(self, code: grpc.StatusCode, message: str, *, param: str | None, retry_after_s: float | None) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code, self.message, self.param, self.retry_after_s = code, message, param, retry_after_s


class _Started(Protocol):
    """How a stub starts a call."""

    def __call__(self, request: Any, *, timeout: float, metadata: Sequence[tuple[str, str]]) -> Any: ...


class BagelClient:
    """One connection to a server; every method raises ServerError."""

    def __init__(self, address: str, *, api_key: str | None = None, deadline_s: float = DEADLINE_S) -> None:
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = bagel_pb2_grpc.BagelStub(self._channel)
        self._metadata = [("authorization", f"Bearer {api_key}")] if api_key else []
        self._deadline_s = deadline_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and what runs over it."""
        self._channel.close()

    def model(self) -> settings_pb2.ModelInfo:
        """What is served, and its limits."""
        info: settings_pb2.ModelInfo = self._once(self._stub.GetModel, bagel_pb2.GetModelRequest())
        return info

    def generate(self, prompt: str, *, watch: Watch | None = None, **settings: Setting) -> Result:
        """Pictures from a text."""
        options = _options(bagel_pb2.PictureOptions, settings)
        request = bagel_pb2.GeneratePicturesRequest(prompt=prompt, options=options)
        return self._run(self._stub.GeneratePictures, request, watch)

    def edit(
        self, pictures: Sequence[bytes], prompt: str, *, mask: bytes | None = None, watch: Watch | None = None,
        **settings: Setting,
    ) -> Result:  # fmt: skip
        """Pictures from encoded pictures and an instruction."""
        request = bagel_pb2.EditPicturesRequest(
            prompt=prompt, pictures=_images(pictures), options=_options(bagel_pb2.PictureOptions, settings)
        )
        if mask is not None:
            request.mask.data = mask
        return self._run(self._stub.EditPictures, request, watch)

    def understand(
        self, pictures: Sequence[bytes], question: str, *, watch: Watch | None = None, **settings: Setting
    ) -> Result:
        """A text from encoded pictures and a question."""
        options = _options(bagel_pb2.WritingOptions, settings)
        request = bagel_pb2.UnderstandRequest(question=question, pictures=_images(pictures), options=options)
        return self._run(self._stub.Understand, request, watch)

    def chat(
        self, messages: Sequence[Said], *, picture: bool = False, watch: Watch | None = None, **settings: Setting
    ) -> Result:
        """The answer to a conversation: a text, or with `picture` a picture."""
        request = bagel_pb2.ChatRequest(messages=[_message(said) for said in messages])
        if picture:
            request.picture.CopyFrom(_options(bagel_pb2.PictureOptions, settings))
        else:
            request.text.CopyFrom(_options(bagel_pb2.WritingOptions, settings))
        return self._run(self._stub.Chat, request, watch)

    def cancel(self, request_id: str) -> None:
        """Stop a request of another call."""
        self._once(self._stub.Cancel, bagel_pb2.CancelTaskRequest(request_id=request_id))

    def _once(self, start: _Started, request: Any) -> Any:
        try:
            return start(request, timeout=self._deadline_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _server_error(error) from error

    def _run(self, start: _Started, request: Any, watch: Watch | None) -> Result:
        events = start(request, timeout=self._deadline_s, metadata=self._metadata)
        try:
            return _result(events, watch)
        except grpc.RpcError as error:
            raise _server_error(error) from error
        finally:
            events.cancel()


def _result(events: Stream, watch: Watch | None) -> Result:
    accepted, text, done = bagel_pb2.Accepted(), bagel_pb2.WrittenText(), bagel_pb2.Finished()
    pictures: list[Picture] = []
    for event in events:
        if watch is not None:
            watch(event)
        match event.WhichOneof("event"):
            case "accepted":
                accepted = event.accepted
            case "text":
                text = event.text
            case "picture":
                made = event.picture
                pictures.append(Picture(made.image.data, made.size.width, made.size.height, made.seed))
            case "finished":
                done = event.finished
    return Result(
        request_id=accepted.request_id, seed=accepted.seed, pictures=tuple(pictures), text=text.text,
        finish_reason=text.finish_reason, prompt_tokens=done.prompt_tokens, completion_tokens=done.completion_tokens,
        timings_s=dict(done.timings_s),
    )  # fmt: skip


def _options(kind: Any, settings: Mapping[str, Setting]) -> Any:
    """Options from keywords; enums by REST's names. Raises RequestError naming one that there is not."""
    enums = {
        "cfg_renorm_type": ("RENORM_", settings_pb2.Renorm),
        "output_format": ("IMAGE_FORMAT_", dit_pb2.ImageFormat),
    }
    found = {}
    for name, value in settings.items():
        if name not in kind.DESCRIPTOR.fields_by_name:
            raise RequestError(f"{name}: there is no such setting for this task", param=name)
        if name in enums:
            prefix, enum = enums[name]
            try:
                value = enum.Value(f"{prefix}{str(value).upper()}")
            except ValueError:
                raise RequestError(f"{name}: there is no {value!r}", param=name) from None
        found[name] = value
    try:
        return kind(**found)
    except (TypeError, ValueError) as error:
        raise RequestError(f"settings: {error}") from error


def _images(pictures: Sequence[bytes]) -> list[settings_pb2.EncodedImage]:
    return [settings_pb2.EncodedImage(data=data) for data in pictures]


def _message(said: Said) -> bagel_pb2.ChatMessage:
    parts = [
        bagel_pb2.ChatPart(text=part)
        if isinstance(part, str)
        else bagel_pb2.ChatPart(picture=settings_pb2.EncodedImage(data=part))
        for part in said.parts
    ]
    if said.role not in ROLES:
        raise RequestError(f"role: there is no {said.role!r}; take {', '.join(ROLES)}", param="role")
    return bagel_pb2.ChatMessage(role=ROLES[said.role], parts=parts)


def _server_error(error: grpc.RpcError) -> ServerError:
    assert isinstance(error, grpc.Call)
    trailing = dict(error.trailing_metadata() or ())
    pushback = trailing.get(PUSHBACK_KEY)
    return ServerError(
        error.code(), error.details() or "", param=trailing.get(PARAM_KEY),
        retry_after_s=None if pushback is None else int(pushback) / 1e3,
    )  # fmt: skip
