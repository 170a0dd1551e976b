"""Chat completions through LiteLLM's proxy: `bagel` writes, `bagel-draws` draws (its configuration says so)."""

from importlib.metadata import version

import openai
from given import KEY, QUICK, SCENE, URL, part, picture_of, png_size, raised, report

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
ASKED = {"model": "bagel", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
CIRCLE = [{"role": "user", "content": "A red circle"}]
SMALL = {**QUICK, "height": 128, "width": 128}


def texts():
    whole = client.chat.completions.create(**ASKED, max_tokens=40)
    text = whole.choices[0].message.content
    assert text
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
    stream = client.chat.completions.create(**ASKED, max_tokens=40, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    content = [part(SCENE), {"type": "text", "text": "Describe this image"}]
    seen = client.chat.completions.create(model="bagel", messages=[{"role": "user", "content": content}])
    assert seen.choices[0].message.content
    assert seen.usage.prompt_tokens > 20
    return text


def pictures():
    message = client.chat.completions.create(model="bagel-draws", messages=CIRCLE, extra_body=SMALL).choices[0].message
    assert message.content == ""
    drawn = picture_of(message.images[0])
    assert png_size(drawn) == (128, 128)
    # Without such a configuration, every request says it.
    asked = {"model": "bagel", "modalities": ["image"], "messages": CIRCLE}
    again = client.chat.completions.create(**asked, extra_body={**SMALL, "image_output": "images"})
    assert picture_of(again.choices[0].message.images[0]) == drawn
    chunks = client.chat.completions.create(model="bagel-draws", messages=CIRCLE, extra_body=SMALL, stream=True)
    choices = [c.choices[0] for c in chunks]
    (streamed,) = [image for choice in choices for image in (choice.delta.model_extra or {}).get("images") or []]
    assert (picture_of(streamed), choices[-1].finish_reason) == (drawn, "stop")
    said = [*CIRCLE, {"role": "assistant", "content": [part(drawn)]}, {"role": "user", "content": "Now make it blue"}]
    edit = client.chat.completions.create(model="bagel-draws", messages=said, extra_body=QUICK)
    assert picture_of(edit.choices[0].message.images[0]) != drawn


def refusals():
    for name, value in (("temperature", 3), ("stop", ["x"])):
        error = raised(
            openai.BadRequestError, lambda n=name, v=value: client.chat.completions.create(**ASKED, **{n: v})
        )
        assert (error.status_code, error.param) == (400, name), error
        assert f"{name}: " in error.message
    late = {"num_inference_steps": 1000, "timeout_s": 1}
    asked = {"model": "bagel-draws", "messages": CIRCLE, "extra_body": late}
    assert raised(openai.InternalServerError, lambda: client.chat.completions.create(**asked)).status_code == 504


said = texts()
pictures()
refusals()
report(version=version("litellm"), text=said)
