from bagel.v1 import dit_pb2 as _dit_pb2
from bagel.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChatRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHAT_ROLE_UNSPECIFIED: _ClassVar[ChatRole]
    CHAT_ROLE_SYSTEM: _ClassVar[ChatRole]
    CHAT_ROLE_USER: _ClassVar[ChatRole]
    CHAT_ROLE_ASSISTANT: _ClassVar[ChatRole]
CHAT_ROLE_UNSPECIFIED: ChatRole
CHAT_ROLE_SYSTEM: ChatRole
CHAT_ROLE_USER: ChatRole
CHAT_ROLE_ASSISTANT: ChatRole

class GetModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PictureOptions(_message.Message):
    __slots__ = ("n", "size", "seed", "num_inference_steps", "timestep_shift", "cfg_text_scale", "cfg_img_scale", "cfg_interval", "cfg_renorm_type", "cfg_renorm_min", "negative_prompt", "output_format", "output_compression", "partial_images", "think", "max_think_tokens")
    N_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NUM_INFERENCE_STEPS_FIELD_NUMBER: _ClassVar[int]
    TIMESTEP_SHIFT_FIELD_NUMBER: _ClassVar[int]
    CFG_TEXT_SCALE_FIELD_NUMBER: _ClassVar[int]
    CFG_IMG_SCALE_FIELD_NUMBER: _ClassVar[int]
    CFG_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CFG_RENORM_TYPE_FIELD_NUMBER: _ClassVar[int]
    CFG_RENORM_MIN_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_IMAGES_FIELD_NUMBER: _ClassVar[int]
    THINK_FIELD_NUMBER: _ClassVar[int]
    MAX_THINK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    n: int
    size: str
    seed: int
    num_inference_steps: int
    timestep_shift: float
    cfg_text_scale: float
    cfg_img_scale: float
    cfg_interval: _containers.RepeatedScalarFieldContainer[float]
    cfg_renorm_type: _settings_pb2.Renorm
    cfg_renorm_min: float
    negative_prompt: str
    output_format: _dit_pb2.ImageFormat
    output_compression: int
    partial_images: int
    think: bool
    max_think_tokens: int
    def __init__(self, n: _Optional[int] = ..., size: _Optional[str] = ..., seed: _Optional[int] = ..., num_inference_steps: _Optional[int] = ..., timestep_shift: _Optional[float] = ..., cfg_text_scale: _Optional[float] = ..., cfg_img_scale: _Optional[float] = ..., cfg_interval: _Optional[_Iterable[float]] = ..., cfg_renorm_type: _Optional[_Union[_settings_pb2.Renorm, str]] = ..., cfg_renorm_min: _Optional[float] = ..., negative_prompt: _Optional[str] = ..., output_format: _Optional[_Union[_dit_pb2.ImageFormat, str]] = ..., output_compression: _Optional[int] = ..., partial_images: _Optional[int] = ..., think: bool = ..., max_think_tokens: _Optional[int] = ...) -> None: ...

class WritingOptions(_message.Message):
    __slots__ = ("max_tokens", "temperature", "top_p", "seed", "think", "max_think_tokens", "top_k", "repetition_penalty")
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    THINK_FIELD_NUMBER: _ClassVar[int]
    MAX_THINK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    think: bool
    max_think_tokens: int
    top_k: int
    repetition_penalty: float
    def __init__(self, max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., seed: _Optional[int] = ..., think: bool = ..., max_think_tokens: _Optional[int] = ..., top_k: _Optional[int] = ..., repetition_penalty: _Optional[float] = ...) -> None: ...

class GeneratePicturesRequest(_message.Message):
    __slots__ = ("prompt", "options", "model")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    options: PictureOptions
    model: str
    def __init__(self, prompt: _Optional[str] = ..., options: _Optional[_Union[PictureOptions, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class EditPicturesRequest(_message.Message):
    __slots__ = ("prompt", "pictures", "mask", "options", "model")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    pictures: _containers.RepeatedCompositeFieldContainer[_settings_pb2.EncodedImage]
    mask: _settings_pb2.EncodedImage
    options: PictureOptions
    model: str
    def __init__(self, prompt: _Optional[str] = ..., pictures: _Optional[_Iterable[_Union[_settings_pb2.EncodedImage, _Mapping]]] = ..., mask: _Optional[_Union[_settings_pb2.EncodedImage, _Mapping]] = ..., options: _Optional[_Union[PictureOptions, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class UnderstandRequest(_message.Message):
    __slots__ = ("question", "pictures", "options", "model")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    question: str
    pictures: _containers.RepeatedCompositeFieldContainer[_settings_pb2.EncodedImage]
    options: WritingOptions
    model: str
    def __init__(self, question: _Optional[str] = ..., pictures: _Optional[_Iterable[_Union[_settings_pb2.EncodedImage, _Mapping]]] = ..., options: _Optional[_Union[WritingOptions, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class ChatPart(_message.Message):
    __slots__ = ("text", "picture")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    text: str
    picture: _settings_pb2.EncodedImage
    def __init__(self, text: _Optional[str] = ..., picture: _Optional[_Union[_settings_pb2.EncodedImage, _Mapping]] = ...) -> None: ...

class ChatMessage(_message.Message):
    __slots__ = ("role", "parts")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    role: ChatRole
    parts: _containers.RepeatedCompositeFieldContainer[ChatPart]
    def __init__(self, role: _Optional[_Union[ChatRole, str]] = ..., parts: _Optional[_Iterable[_Union[ChatPart, _Mapping]]] = ...) -> None: ...

class ChatRequest(_message.Message):
    __slots__ = ("messages", "text", "picture", "model")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[ChatMessage]
    text: WritingOptions
    picture: PictureOptions
    model: str
    def __init__(self, messages: _Optional[_Iterable[_Union[ChatMessage, _Mapping]]] = ..., text: _Optional[_Union[WritingOptions, _Mapping]] = ..., picture: _Optional[_Union[PictureOptions, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class TaskEvent(_message.Message):
    __slots__ = ("accepted", "in_line", "delta", "text", "steps", "partial", "picture", "finished")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    IN_LINE_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    accepted: Accepted
    in_line: InLine
    delta: WrittenText
    text: WrittenText
    steps: StepsDone
    partial: PartialPicture
    picture: FinishedPicture
    finished: Finished
    def __init__(self, accepted: _Optional[_Union[Accepted, _Mapping]] = ..., in_line: _Optional[_Union[InLine, _Mapping]] = ..., delta: _Optional[_Union[WrittenText, _Mapping]] = ..., text: _Optional[_Union[WrittenText, _Mapping]] = ..., steps: _Optional[_Union[StepsDone, _Mapping]] = ..., partial: _Optional[_Union[PartialPicture, _Mapping]] = ..., picture: _Optional[_Union[FinishedPicture, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("request_id", "seed")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    seed: int
    def __init__(self, request_id: _Optional[str] = ..., seed: _Optional[int] = ...) -> None: ...

class InLine(_message.Message):
    __slots__ = ("position", "eta_s")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    position: int
    eta_s: float
    def __init__(self, position: _Optional[int] = ..., eta_s: _Optional[float] = ...) -> None: ...

class WrittenText(_message.Message):
    __slots__ = ("text", "finish_reason")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    text: str
    finish_reason: str
    def __init__(self, text: _Optional[str] = ..., finish_reason: _Optional[str] = ...) -> None: ...

class StepsDone(_message.Message):
    __slots__ = ("picture", "done", "total")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    picture: int
    done: int
    total: int
    def __init__(self, picture: _Optional[int] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class PartialPicture(_message.Message):
    __slots__ = ("picture", "index", "image", "size")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    picture: int
    index: int
    image: _settings_pb2.EncodedImage
    size: _settings_pb2.ImageSize
    def __init__(self, picture: _Optional[int] = ..., index: _Optional[int] = ..., image: _Optional[_Union[_settings_pb2.EncodedImage, _Mapping]] = ..., size: _Optional[_Union[_settings_pb2.ImageSize, _Mapping]] = ...) -> None: ...

class FinishedPicture(_message.Message):
    __slots__ = ("picture", "image", "size", "seed")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    picture: int
    image: _settings_pb2.EncodedImage
    size: _settings_pb2.ImageSize
    seed: int
    def __init__(self, picture: _Optional[int] = ..., image: _Optional[_Union[_settings_pb2.EncodedImage, _Mapping]] = ..., size: _Optional[_Union[_settings_pb2.ImageSize, _Mapping]] = ..., seed: _Optional[int] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "timings_s")
    class TimingsSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_S_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    timings_s: _containers.ScalarMap[str, float]
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., timings_s: _Optional[_Mapping[str, float]] = ...) -> None: ...

class CancelTaskRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class CancelTaskResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
