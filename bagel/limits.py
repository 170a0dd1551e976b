"""Every limit of what a caller may send, once: the HTTP interface and the gRPC services check against these records.

Pure data. Knows no field's type and no protocol; `docs/limits.md` and the API's description are printed from here
(`bagel.limits_page`). What depends on the checkpoint is in `bagel.settings.ModelLimits`.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from bagel import defaults
from bagel.errors import RequestError

N = TypeVar("N", int, float)
_GUIDANCE = "SamplerSettings.guidance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Generic[N]):
    """One bound, both ends allowed. `rest` and `grpc` name where it holds; the statuses are what a caller gets."""

    what: str
    most: N
    least: N | None = None
    unit: str = ""
    rest: tuple[str, ...] = ()
    grpc: tuple[str, ...] = ()
    http_status: str = "400"
    grpc_status: str = "INVALID_ARGUMENT"
    flag: str = ""  # that moves it

    def check(self, param: str, value: float) -> None:
        """Raise RequestError naming `param` unless the value is in bounds; NaN never is."""
        check_bounds(param, value, 0 if self.least is None else self.least, self.most)


def check_bounds(param: str, value: float, least: float, most: float) -> None:
    """Raise RequestError naming `param` unless `least <= value <= most`."""
    # Written so that NaN fails too.
    if not least <= value <= most:
        raise RequestError(f"{param} must be between {least} and {most}, not {value}", param=param)


# How much may be sent.
JSON_PARTS = Limit(
    what="Commas, brackets and escapes of a JSON body, counted before it is read", most=1_000_000, rest=("the body",)
)
BODY_BYTES = Limit(
    what="A request's body, pictures in it", most=64 << 20, unit="bytes", rest=("the body",), http_status="413"
)
HEADER_BYTES = Limit(
    what="A request's line and headers",
    most=64 << 10,
    unit="bytes",
    rest=("the headers",),
    http_status="431; 400 while they are unfinished",
)
FORM_FIELDS = Limit(what="Fields of a form, without files", most=64, rest=("a form",))
FORM_FIELD_BYTES = Limit(what="One of them", most=1 << 20, unit="bytes", rest=("a form's field",))
MESSAGE_BYTES = Limit(
    what="A message", most=80 << 20, unit="bytes", grpc=("every message",), grpc_status="RESOURCE_EXHAUSTED"
)
SENT_ID_CHARACTERS = Limit(
    what="An id that a client sends; the gateway makes it unique",
    most=100,
    unit="characters",
    rest=("x-request-id",),
    http_status="the rest is cut off",
)
REQUEST_ID_CHARACTERS = Limit(
    what="An id, of A-Z a-z 0-9 . _ -", least=1, most=128, unit="characters", grpc=("RequestId.id",)
)
# How long, and how many at once.
TIMEOUT_S = Limit(
    what="Time that a request may take, over 0",
    least=0.0,
    most=defaults.REQUEST_TIMEOUT_S,
    unit="s",
    rest=("timeout_s",),
    flag="--request-timeout-s",
)
DEADLINE_S = Limit(
    what="A call's deadline", most=600.0, unit="s", grpc=("every call",), grpc_status="a later one is brought forward"
)
QUEUE = Limit(
    what="Requests that wait in a stage",
    most=defaults.MAX_QUEUE,
    grpc=("GenerateText", "PrepareContext", "Dit.Generate"),
    grpc_status="RESOURCE_EXHAUSTED",
    flag="--max-queue",
)
WAITING = Limit(
    what="Cost of requests that wait in the gateway, for texts and for pictures each; 1 is an ordinary request",
    most=defaults.MAX_QUEUE,
    rest=("every task",),
    http_status="429",
    flag="--max-queue",
)
WAITING_BYTES = Limit(
    what="Pictures sent with requests that wait", most=256 << 20, unit="bytes", rest=("every task",), http_status="429"
)
BODIES_BYTES = Limit(
    what="Bodies of all requests that are being read or served, and the pictures fetched for them",
    most=256 << 20,
    unit="bytes",
    rest=("the body", "image_url.url"),
    http_status="429",
)
RETRY_AFTER_S = Limit(
    what="Time after which to come again", least=1, most=120, unit="s", rest=("retry-after",), http_status="cut off"
)
HEADER_S = Limit(
    what="Time for a request's line and headers, and between two requests of a connection",
    most=10.0,
    unit="s",
    rest=("the headers",),
    http_status="408; closed between two",
)
BODY_S = Limit(what="Time for a request's body", most=120.0, unit="s", rest=("the body",), http_status="408")
UNREAD_S = Limit(
    what="Time in which a client reads nothing of an answer that waits for it",
    most=60.0,
    unit="s",
    rest=("every answer",),
    http_status="closed",
)
CONNECTIONS = Limit(what="Connections at once", most=1000, rest=("every request",), http_status="503")
CALLS = Limit(
    what="Calls of the public service at once", most=128, grpc=("every call",), grpc_status="RESOURCE_EXHAUSTED"
)
GRANTS = Limit(
    what="Reads of contexts that are open", most=256, grpc=("KvSource.Read",), grpc_status="RESOURCE_EXHAUSTED"
)
INLINE_BYTES = Limit(
    what="Pages that travel with their announcement",
    most=1 << 20,
    unit="bytes",
    grpc=("ReadRequest.inline_below",),
    grpc_status="more is announced only",
)
LINK_S = Limit(
    what="Life of a picture's link",
    most=3600.0,
    unit="s",
    rest=("response_format: url",),
    http_status="404 afterwards",
)
LINKED_BYTES = Limit(
    what="Pictures kept for links, all together",
    most=256 << 20,
    unit="bytes",
    rest=("response_format: url",),
    http_status="404: the oldest are dropped",
)
# Pictures sent.
PICTURES_SENT = Limit(
    what="Pictures in a request",
    most=64,
    rest=("messages", "image", "image[]"),
    grpc=("segments", "pictures", "messages"),
)
CHAT_PARTS = Limit(what="Messages and parts of a conversation, together", most=4096, grpc=("messages",))
PICTURE_PIXELS = Limit(
    what="Pixels of a picture, seen before it is decoded",
    most=16_000_000,
    rest=("image_url.url", "image", "image[]", "mask"),
    grpc=("EncodedImage.data",),
)
REQUEST_PIXELS = Limit(
    what="Pixels of a request's pictures together",
    most=64_000_000,
    rest=("messages", "image", "image[]"),
    grpc=("segments",),
)
DECODE_S = Limit(
    what="Time to decode a picture", most=10.0, unit="s", rest=("image_url.url", "image", "image[]", "mask")
)
DECODE_BYTES = Limit(
    what="Memory to decode a picture",
    most=512 << 20,
    unit="bytes",
    rest=("image_url.url", "image", "image[]", "mask"),
)
FETCHED_BYTES = Limit(
    what="A picture that is fetched (`--fetch-images`)", most=16 << 20, unit="bytes", rest=("image_url.url",)
)
FETCH_S = Limit(what="Time to fetch a picture", most=10.0, unit="s", rest=("image_url.url",))
URL_CHARACTERS = Limit(what="An address to fetch a picture from", most=2048, unit="characters", rest=("image_url.url",))
# Texts sent.
PROMPT_CHARACTERS = Limit(
    what="A prompt of the images endpoints",
    least=1,
    most=32_000,
    unit="characters",
    rest=("prompt",),
)
NEGATIVE_PROMPT_CHARACTERS = Limit(
    what="A negative prompt",
    most=32_000,
    unit="characters",
    rest=("negative_prompt",),
    grpc=("PrepareContextRequest.negative_prompt",),
)
CHARACTERS_A_TOKEN = Limit(
    what="Characters of all texts for each token of context, before a tokenizer is tried",
    most=32,
    rest=("messages", "prompt"),
)
# How a picture is made.
PICTURES_MADE = Limit(
    what="Pictures from one prefill", least=1, most=10, rest=("n (images)",), grpc=("Dit GenerateRequest.n",)
)
TIMESTEPS = Limit(
    what="Time points, one more than steps",
    least=2,
    most=1000,
    rest=("num_inference_steps",),
    grpc=("SamplerSettings.num_timesteps",),
)
TIMESTEP_SHIFT = Limit(
    what="Shift of the time points",
    least=1e-3,
    most=100.0,
    rest=("timestep_shift",),
    grpc=("SamplerSettings.timestep_shift",),
)
TEXT_SCALE = Limit(
    what="Guidance by the text",
    least=0.0,
    most=100.0,
    rest=("cfg_text_scale", "guidance_scale"),
    grpc=(f"{_GUIDANCE}.text_scale",),
)
IMAGE_SCALE = Limit(
    what="Guidance by the pictures",
    least=0.0,
    most=100.0,
    rest=("cfg_img_scale",),
    grpc=(f"{_GUIDANCE}.image_scale",),
)
INTERVAL = Limit(
    what="Both ends of the times with guidance, in order",
    least=0.0,
    most=1.0,
    rest=("cfg_interval",),
    grpc=(f"{_GUIDANCE}.interval_low", f"{_GUIDANCE}.interval_high"),
)
RENORM_MIN = Limit(
    what="Least factor of the renorm",
    least=0.0,
    most=1.0,
    rest=("cfg_renorm_min",),
    grpc=(f"{_GUIDANCE}.renorm_min",),
)
SEED = Limit(
    what="Seed; of the last picture, where several are made",
    least=0,
    most=2**63 - 1,
    rest=("seed",),
    grpc=("seed", "DecodeSettings.seed"),
)
COMPRESSION = Limit(what="Quality of a JPEG or WebP file", least=0, most=100, rest=("output_compression",))
QUALITY = Limit(what="Quality of a JPEG or WebP file", least=1, most=100, grpc=("OutputSettings.quality",))
PREVIEWS = Limit(what="Pictures on the way", least=0, most=3, rest=("partial_images",), grpc=("PreviewSettings.count",))
# How a text is written.
NEW_TOKENS = Limit(
    what="Visible tokens of an answer, or of a thought",
    least=1,
    most=32768,
    rest=("max_tokens", "max_completion_tokens", "max_think_tokens"),
    grpc=("DecodeSettings.max_tokens",),
)
TEMPERATURE = Limit(
    what="Temperature; 0 is greedy",
    least=0.0,
    most=2.0,
    rest=("temperature",),
    grpc=("DecodeSettings.temperature",),
)
TOP_P = Limit(
    what="Part of the probability that is kept",
    least=1e-6,
    most=1.0,
    rest=("top_p",),
    grpc=("DecodeSettings.top_p",),
)
TOP_K = Limit(
    what="Likeliest tokens that are kept; 0 keeps all",
    least=0,
    most=1_000_000,
    rest=("top_k",),
    grpc=("DecodeSettings.top_k",),
)
REPETITION_PENALTY = Limit(
    what="What holds tokens back that were there before; 1 is nothing",
    least=0.01,
    most=10.0,
    rest=("repetition_penalty",),
    grpc=("DecodeSettings.repetition_penalty",),
)

SECTIONS: dict[str, tuple[Limit[int] | Limit[float], ...]] = {
    "How much": (
        BODY_BYTES, JSON_PARTS, HEADER_BYTES, FORM_FIELDS, FORM_FIELD_BYTES, MESSAGE_BYTES, SENT_ID_CHARACTERS,
        REQUEST_ID_CHARACTERS,
    ),
    "How long, and how many at once": (
        TIMEOUT_S, DEADLINE_S, WAITING, WAITING_BYTES, BODIES_BYTES, QUEUE, RETRY_AFTER_S, CONNECTIONS, HEADER_S,
        BODY_S, UNREAD_S, CALLS, GRANTS, INLINE_BYTES, LINK_S, LINKED_BYTES,
    ),
    "Pictures and texts sent": (
        PICTURES_SENT, CHAT_PARTS, PICTURE_PIXELS, REQUEST_PIXELS, DECODE_S, DECODE_BYTES, FETCHED_BYTES, FETCH_S,
        URL_CHARACTERS, PROMPT_CHARACTERS, NEGATIVE_PROMPT_CHARACTERS, CHARACTERS_A_TOKEN,
    ),
    "How a picture is made": (
        PICTURES_MADE, TIMESTEPS, TIMESTEP_SHIFT, TEXT_SCALE, IMAGE_SCALE, INTERVAL, RENORM_MIN, SEED, COMPRESSION,
        QUALITY, PREVIEWS,
    ),
    "How a text is written": (NEW_TOKENS, TEMPERATURE, TOP_P, TOP_K, REPETITION_PENALTY),
}  # fmt: skip
