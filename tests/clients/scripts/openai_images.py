"""The images endpoints with `openai`: pictures whole, by link and streamed; edits of one and several, with a mask."""

import base64
import urllib.request

import openai
from given import FOLDER, MASK, OTHER, QUICK, SCENE, URL, png_size, report

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
PROMPT = {"model": "bagel", "prompt": "A red circle", "size": "128x128"}
EDIT = {"model": "bagel", "prompt": "Make it blue", "extra_body": QUICK}


def decoded(entry):
    return base64.b64decode(entry.b64_json)


def generated():
    """With nothing but OpenAI's own parameters."""
    answer = client.images.generate(
        **PROMPT, n=2, quality="low", background="opaque", moderation="low", output_format="jpeg", user="someone",
        output_compression=80, response_format="b64_json",
    )  # fmt: skip
    assert len({entry.b64_json for entry in answer.data}) == 2
    assert all(decoded(entry).startswith(b"\xff\xd8") for entry in answer.data)
    assert (answer.size, answer.quality) == ("128x128", "low")
    assert (answer.output_format, answer.background) == ("jpeg", "opaque")
    usage = answer.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
    assert usage.input_tokens_details.text_tokens == usage.input_tokens


def linked():
    same = {**PROMPT, "extra_body": QUICK}
    (entry,) = client.images.generate(**same, response_format="url").data
    assert entry.b64_json is None
    with urllib.request.urlopen(entry.url, timeout=30) as response:
        assert response.headers["content-type"] == "image/png"
        assert response.read() == decoded(client.images.generate(**same).data[0])


def streamed(call, kind, partial_kind, completed_kind, **request):
    """Every number of pictures on the way; the finished one is the one without a stream."""
    whole = decoded(call(**request).data[0])
    for count in range(4):
        *partial, completed = call(**request, stream=True, partial_images=count)
        assert [(type(event), event.type) for event in partial] == [(partial_kind, f"{kind}.partial_image")] * count
        assert [event.partial_image_index for event in partial] == list(range(count))
        assert all(png_size(decoded(event)) for event in partial)
        assert (type(completed), completed.type) == (completed_kind, f"{kind}.completed")
        assert (completed.output_format, completed.background, completed.quality) == ("png", "opaque", "auto")
        assert decoded(completed) == whole
        assert completed.size == "{}x{}".format(*png_size(whole))
        assert completed.usage.total_tokens > 0
        assert completed.created_at > 0


def edited():
    one = client.images.edit(**EDIT, image=SCENE)
    with open(FOLDER / "scene.png", "rb") as file:
        assert client.images.edit(**EDIT, image=file).data[0].b64_json == one.data[0].b64_json
    named = client.images.edit(**EDIT, image=[("a.png", SCENE, "image/png")])
    assert named.data[0].b64_json == one.data[0].b64_json
    several = client.images.edit(**EDIT, image=[SCENE, OTHER], size="128x128", n=2)
    assert several.model_extra["bagel"]["work"]["vit_passes"] == 2
    assert [png_size(decoded(entry)) for entry in several.data] == [(128, 128)] * 2
    plain = client.images.edit(**EDIT, image=SCENE, size="192x128")
    masked = client.images.edit(**EDIT, image=SCENE, mask=MASK, size="192x128", input_fidelity="high")
    assert png_size(decoded(masked.data[0])) == (192, 128)
    assert masked.data[0].b64_json != plain.data[0].b64_json


generated()
linked()
types = openai.types
streamed(
    client.images.generate, "image_generation", types.ImageGenPartialImageEvent, types.ImageGenCompletedEvent,
    **PROMPT, extra_body={**QUICK, "num_inference_steps": 12},
)  # fmt: skip
edited()
streamed(
    client.images.edit, "image_edit", types.ImageEditPartialImageEvent, types.ImageEditCompletedEvent,
    **{**EDIT, "extra_body": {**QUICK, "num_inference_steps": 12}}, image=SCENE, size="96x64",
)  # fmt: skip
report(version=openai.__version__)
