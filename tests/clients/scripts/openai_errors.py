"""Models and errors with `openai`: every refusal arrives as the client's own class, with message, param and code."""

import openai
from given import MASK, SCENE, URL, raised, report

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
HI = {"model": "bagel", "messages": [{"role": "user", "content": "Hi"}]}
LONG = {"model": "bagel", "prompt": "A cat", "size": "256x256", "extra_body": {"num_inference_steps": 200}}
LATE = {**LONG, "extra_body": {"num_inference_steps": 1000, "timeout_s": 1}}


def models():
    (listed,) = client.models.list().data
    assert client.models.retrieve(listed.id) == client.models.retrieve("bagel") == listed
    missing = raised(openai.NotFoundError, lambda: client.models.retrieve("gpt-4o"))
    assert (missing.param, missing.code, missing.type) == ("model", "model_not_found", "invalid_request_error")
    assert listed.id in missing.message
    other = raised(openai.NotFoundError, lambda: client.chat.completions.create(**{**HI, "model": "gpt-4o"}))
    assert other.code == "model_not_found"
    return listed.id


def refusals():
    for call, param in (
        (lambda: client.chat.completions.create(**HI, temperature=3), "temperature"),
        (lambda: client.chat.completions.create(**HI, extra_body={"num_inference_steps": 0}), "num_inference_steps"),
        (lambda: client.chat.completions.create(**HI, extra_body={"stepz": 1}), "stepz"),
        (lambda: client.images.generate(prompt="A cat", size="100x100"), "size"),
        (lambda: client.images.generate(prompt="A cat", n=11), "n"),
        (lambda: client.images.generate(prompt="A cat", background="transparent"), "background"),
        (lambda: client.images.edit(prompt="A cat", image=b"no picture"), "image[0]"),
        (lambda: client.images.edit(prompt="A cat", image=SCENE, mask=b"no picture"), "mask"),
        (lambda: client.images.edit(prompt="A cat", image=SCENE, mask=MASK, size="96x65"), "size"),
    ):
        error = raised(openai.BadRequestError, call)
        assert (error.status_code, error.param) == (400, param), error
        assert error.code in ("invalid_value", "unknown_parameter"), error
        assert param.split("[")[0] in error.message, error
        assert error.request_id


def what_is_not_here():
    for call in (
        lambda: client.images.create_variation(image=SCENE),
        lambda: client.embeddings.create(model="bagel", input="Hi", encoding_format="float"),
        lambda: client.responses.create(model="bagel", input="Hi"),
    ):
        assert raised(openai.NotFoundError, call).code == "not_found"


def deadlines():
    late = raised(openai.InternalServerError, lambda: client.with_options(max_retries=2).images.generate(**LATE))
    assert (late.status_code, late.code) == (504, "deadline_exceeded")
    assert late.request.headers["x-stainless-retry-count"] == "0", "a request whose time was over was sent again"
    within = raised(openai.APIError, lambda: list(client.images.generate(**LATE, stream=True, partial_images=1)))
    assert (within.code, within.type) == ("deadline_exceeded", "timeout_error")
    raised(openai.APITimeoutError, lambda: client.with_options(timeout=0.5).images.generate(**LONG))


def a_stream_that_is_closed_half_way():
    with client.images.generate(**LONG, stream=True, partial_images=3) as stream:
        assert next(iter(stream)).type == "image_generation.partial_image"


name = models()
refusals()
what_is_not_here()
deadlines()
a_stream_that_is_closed_half_way()
report(version=openai.__version__, model=name)
