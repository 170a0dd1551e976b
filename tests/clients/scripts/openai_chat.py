"""Chat completions with `openai`: texts, pictures in and out, conversations, streams."""

import asyncio

import openai
from given import OTHER, QUICK, SCENE, URL, part, picture_of, png_size, report

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
ASKED = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is the capital of France?"}]
DRAW = {"model": "bagel", "modalities": ["image"]}
SMALL = {**QUICK, "height": 128, "width": 128}


def whole_text():
    answer = client.chat.completions.create(model="bagel", messages=ASKED, max_completion_tokens=40, temperature=0)
    (choice,) = answer.choices
    assert answer.object == "chat.completion"
    assert answer._request_id == answer.id.removeprefix("chatcmpl-")
    assert (choice.index, choice.message.role) == (0, "assistant")
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > usage.completion_tokens > 0
    return answer


def streamed_text(whole):
    request = {"model": "bagel", "messages": ASKED, "max_tokens": 40, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**request, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    # The client's own accumulator.
    with client.chat.completions.stream(model="bagel", messages=ASKED, max_tokens=40) as stream:
        assert stream.get_final_completion().choices[0].message.content == whole.choices[0].message.content


async def streamed_text_of_the_asynchronous_client(whole):
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none") as asynchronous:
        chunks = await asynchronous.chat.completions.create(model="bagel", messages=ASKED, max_tokens=40, stream=True)
        text = "".join([c.choices[0].delta.content or "" async for c in chunks])
    assert text == whole.choices[0].message.content


def picture_in():
    content = [part(SCENE), {"type": "text", "text": "Describe this image"}]
    seen = client.chat.completions.create(model="bagel", messages=[{"role": "user", "content": content}])
    assert seen.choices[0].message.content
    assert seen.model_extra["bagel"]["work"]["vit_passes"] == 1
    assert seen.usage.prompt_tokens > 20


def picture_out():
    request = {**DRAW, "messages": [{"role": "user", "content": "A red circle"}]}
    answer = client.chat.completions.create(**request, extra_body=SMALL)
    (found,) = answer.choices[0].message.content
    drawn = picture_of(found)
    assert png_size(drawn) == (128, 128)
    beside = client.chat.completions.create(**request, extra_body={**SMALL, "image_output": "images"})
    message = beside.choices[0].message
    assert (message.content, picture_of(message.model_extra["images"][0])) == ("", drawn)
    choices = [c.choices[0] for c in client.chat.completions.create(**request, extra_body=SMALL, stream=True)]
    (streamed,) = [image for choice in choices for image in (choice.delta.model_extra or {}).get("images", [])]
    assert (picture_of(streamed), choices[-1].finish_reason) == (drawn, "stop")
    return drawn, answer.choices[0].message


def conversation(drawn, message):
    """A picture that was made goes back as the assistant's message, as the client holds it."""
    said = [{"role": "user", "content": "A red circle"}, message]
    edit = client.chat.completions.create(
        **DRAW, messages=[*said, {"role": "user", "content": "Now make it blue"}], extra_body=QUICK
    )
    assert edit.model_extra["bagel"]["task"] == "img2img"
    edited = picture_of(edit.choices[0].message.content[0])
    assert edited != drawn
    asked = [*said, {"role": "user", "content": "What color is it?"}]
    told = client.chat.completions.create(model="bagel", messages=asked)
    assert told.choices[0].message.content
    assert told.model_extra["bagel"]["work"]["vit_passes"] == 1
    return png_size(edited)


def pictures_of_both_roles_count_in_order():
    def drawn(first, second):
        messages = [
            {"role": "user", "content": [part(first), {"type": "text", "text": "Make it red"}]},
            {"role": "assistant", "content": [part(second)]},
            {"role": "user", "content": "Now make it blue"},
        ]
        answer = client.chat.completions.create(**DRAW, messages=messages, extra_body=SMALL)
        assert answer.model_extra["bagel"]["work"]["vit_passes"] == 2
        return picture_of(answer.choices[0].message.content[0])

    assert drawn(SCENE, OTHER) == drawn(SCENE, OTHER) != drawn(OTHER, SCENE)


answered = whole_text()
streamed_text(answered)
asyncio.run(streamed_text_of_the_asynchronous_client(answered))
picture_in()
edited_size = conversation(*picture_out())
pictures_of_both_roles_count_in_order()
report(version=openai.__version__, text=answered.choices[0].message.content, edited_size=edited_size)
