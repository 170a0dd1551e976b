"""The images endpoints through LiteLLM's proxy, which takes neither links (`response_format`) nor streams for them."""

import base64
from importlib.metadata import version

import openai
from given import KEY, MASK, OTHER, QUICK, SCENE, URL, png_size, raised, report

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
PROMPT = {"model": "bagel", "prompt": "A red circle", "size": "128x128"}
EDIT = {"model": "bagel", "prompt": "Make it blue", "size": "128x128", "extra_body": QUICK}


def decoded(entry):
    return base64.b64decode(entry.b64_json)


two = client.images.generate(**PROMPT, n=2, quality="low", output_format="jpeg", output_compression=80)
assert len({entry.b64_json for entry in two.data}) == 2
assert all(decoded(entry).startswith(b"\xff\xd8") for entry in two.data)
assert (two.size, two.output_format) == ("128x128", "jpeg")
assert two.usage.total_tokens > 0
once, again = (client.images.generate(**PROMPT, extra_body=QUICK).data[0] for _ in range(2))
assert png_size(decoded(once)) == (128, 128)
assert once.b64_json == again.b64_json, "the seed does not get through"
one = client.images.edit(**EDIT, image=SCENE)
several = client.images.edit(**EDIT, image=[SCENE, OTHER])
masked = client.images.edit(**EDIT, image=SCENE, mask=MASK)
assert png_size(decoded(one.data[0])) == (128, 128)
assert len({answer.data[0].b64_json for answer in (one, several, masked)}) == 3
refused = raised(openai.BadRequestError, lambda: client.images.generate(**{**PROMPT, "size": "100x100"}))
assert refused.param == "size"
assert "multiple of 16" in refused.message
report(version=version("litellm"))
