"""Every parameter that the installed `openai` knows is honoured, or refused with 400 and its name; none is dropped."""

import openai
from given import OTHER, QUICK, SCENE, URL, report
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.image_edit_params import ImageEditParamsBase
from openai.types.image_generate_params import ImageGenerateParamsBase

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
IDENTITY = {"user": "someone", "safety_identifier": "someone"}
CHAT_TAKEN = {
    **IDENTITY, "max_completion_tokens": 3, "max_tokens": 3, "metadata": {"a": "b"}, "modalities": ["text"], "n": 1,
    "frequency_penalty": 0, "presence_penalty": 0, "logprobs": False, "prompt_cache_key": "a", "seed": 3,
    "response_format": {"type": "text"}, "service_tier": "auto", "store": False, "temperature": 0.5, "top_p": 0.9,
    "stream_options": {"include_usage": True},
}  # fmt: skip
CHAT_REFUSED = {
    "audio": {"format": "mp3", "voice": "alloy"}, "frequency_penalty": 1, "function_call": "auto",
    "functions": [{"name": "f"}], "logit_bias": {"1": 1}, "logprobs": True, "modalities": ["audio"], "n": 2,
    "moderation": {"model": "omni-moderation-latest"}, "parallel_tool_calls": True, "presence_penalty": 1,
    "prediction": {"type": "content", "content": "a"}, "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h", "reasoning_effort": "low", "response_format": {"type": "json_object"},
    "stop": ["x"], "tool_choice": "auto", "tools": [TOOL], "top_logprobs": 2, "verbosity": "low",
    "web_search_options": {},
}  # fmt: skip
IMAGE_TAKEN = {
    **IDENTITY, "background": "opaque", "n": 1, "output_compression": 50, "output_format": "jpeg", "partial_images": 0,
    "quality": "low", "response_format": "b64_json", "size": "64x64",
}  # fmt: skip
IMAGE_REFUSED = {
    "background": "transparent", "complexity": "low", "frame_count": 2, "frame_duration_ms": 100, "quality": "best",
    "output_format": "gif", "svg": {"model": "bagel"}, "response_format": "text", "partial_images": 4,
}  # fmt: skip


def checked(call, known, needed, taken, refused):
    """How many are honoured and refused. A parameter without a sample value here is one that a later client brought."""
    assert set(known) <= {*needed, *taken, *refused}, sorted({*known} - {*needed, *taken, *refused})
    taken, refused = ({name: value for name, value in some.items() if name in known} for some in (taken, refused))
    for name, value in taken.items():
        together = {"output_format": "webp"} if name == "output_compression" else {}
        together |= {"stream": True} if name in ("stream_options", "partial_images") else {}
        call(**needed, **together, **{name: value})
    for name, value in refused.items():
        try:
            call(**needed, **{name: value})
        except openai.BadRequestError as error:
            assert error.param.startswith(name), (name, error)  # noqa: PT017
        else:
            raise AssertionError(f"{name}={value!r} was neither honoured nor refused")
    return {"taken": len(taken), "refused": len(refused)}


def draw(**request):
    return client.images.generate(**request, extra_body=QUICK)


def edit(**request):
    return client.images.edit(**request, extra_body=QUICK)


HI = {"model": "bagel", "messages": [{"role": "user", "content": "Hi"}]}
CAT = {"model": "bagel", "prompt": "A cat"}
report(
    version=openai.__version__,
    chat=checked(
        client.chat.completions.create, CompletionCreateParamsBase.__annotations__, HI, CHAT_TAKEN, CHAT_REFUSED
    ),
    generate=checked(
        draw, ImageGenerateParamsBase.__annotations__, CAT,
        IMAGE_TAKEN | {"moderation": "low"}, IMAGE_REFUSED | {"style": "vivid"},
    ),
    edit=checked(
        edit, ImageEditParamsBase.__annotations__, CAT | {"image": SCENE},
        IMAGE_TAKEN | {"input_fidelity": "high"}, IMAGE_REFUSED | {"mask": OTHER, "markup": OTHER},
    ),
)  # fmt: skip
